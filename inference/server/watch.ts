import { performance } from 'node:perf_hooks'

/** What has a time by which something must have happened. */
export interface Timed {
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
 */
export class Watch {
  readonly #timed = new Set<Timed>()
  #running = false
  #dueAt = 0
  /** Whether the last turn was left out for a stall; two in a row are not. */
  #spared = false

  get size(): number {
    return this.#timed.size
  }

  add(timed: Timed): void {
    this.#timed.add(timed)
    if (this.#running) return
    this.#running = true
    this.#arm(performance.now())
  }

  delete(timed: Timed): void {
    this.#timed.delete(timed)
  }

  /** For tests: as if the timer had run. */
  lookAt(now: number): void {
    for (const timed of this.#timed) timed.look(now)
  }

  #arm(now: number): void {
    this.#dueAt = now + everyMs
    setTimeout(this.#look, everyMs)
  }

  readonly #look = () => {
    const now = performance.now()
    this.#spared = !this.#spared && now - this.#dueAt > stallMs
    if (!this.#spared) this.lookAt(now)
    this.#running = this.#timed.size > 0
    if (this.#running) this.#arm(now)
  }
}
