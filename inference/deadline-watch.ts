import { performance } from 'node:perf_hooks'

/** What has a time by which something must have happened. */
export interface Timed {
  /** Where it stands in its watch, which alone sets it; -1 while it is in none. */
  place: number
  /** @param now on the clock of `performance.now()`, milliseconds */
  look(now: number): void
}

/** How often it looks: a deadline is kept to within so many milliseconds. */
const everyMs = 50
/** When the timer is so much late, the process stood still, and what came meanwhile has not been read: nobody is to be blamed for that. */
const stallMs = 100

/**
 * One timer for everything that has a deadline: a timer and its closure for each request would cost more than looking through
 * the few that are there. It runs only while there is something to look at, so nothing has to be closed.
 *
 * An array, and no Set: one that has something added and deleted for each request is made anew all the time, and each of its old
 * tables leads to the next, so that what they hold outlives its request by many collections.
 */
export class DeadlineWatch {
  readonly #timed: Timed[] = []
  #running = false
  #dueAt = 0
  /** Whether the last turn was left out for a stall; two in a row are not. */
  #spared = false

  get size(): number {
    return this.#timed.length
  }

  add(timed: Timed): void {
    if (timed.place !== -1) return
    timed.place = this.#timed.length
    this.#timed.push(timed)
    if (this.#running) return
    this.#running = true
    this.#arm(performance.now())
  }

  delete(timed: Timed): void {
    if (this.#timed[timed.place] !== timed) return
    // The last one takes its place.
    const last = this.#timed.pop()
    if (last !== undefined && last !== timed) {
      this.#timed[timed.place] = last
      last.place = timed.place
    }
    timed.place = -1
  }

  /** For tests: as if the timer had run. */
  lookAt(now: number): void {
    // From the end: who leaves meanwhile is followed by one that was looked at.
    for (let at = this.#timed.length - 1; at >= 0; at--) this.#timed[at]?.look(now)
  }

  #arm(now: number): void {
    this.#dueAt = now + everyMs
    setTimeout(this.#look, everyMs)
  }

  readonly #look = () => {
    const now = performance.now()
    this.#spared = !this.#spared && now - this.#dueAt > stallMs
    if (!this.#spared) this.lookAt(now)
    this.#running = this.#timed.length > 0
    if (this.#running) this.#arm(now)
  }
}
