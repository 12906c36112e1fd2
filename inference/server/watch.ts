import { performance } from 'node:perf_hooks'

/** What has a time by which something must have happened. */
export interface Timed {
  /** @param now on the clock of `performance.now()`, milliseconds */
  look(now: number): void
}

/** How often it looks: a deadline is kept to within so many milliseconds. */
const everyMs = 50

/**
 * One timer for everything that has a deadline: a timer and its closure for each request would cost more than looking through
 * the few that are there. It runs only while there is something to look at, so nothing has to be closed.
 */
export class Watch {
  readonly #timed = new Set<Timed>()
  #running = false

  get size(): number {
    return this.#timed.size
  }

  add(timed: Timed): void {
    this.#timed.add(timed)
    if (this.#running) return
    this.#running = true
    setTimeout(this.#look, everyMs)
  }

  delete(timed: Timed): void {
    this.#timed.delete(timed)
  }

  /** For tests: as if the timer had run. */
  lookAt(now: number): void {
    for (const timed of this.#timed) timed.look(now)
  }

  readonly #look = () => {
    this.lookAt(performance.now())
    this.#running = this.#timed.size > 0
    if (this.#running) setTimeout(this.#look, everyMs)
  }
}
