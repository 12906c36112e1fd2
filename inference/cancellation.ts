import { performance } from 'node:perf_hooks'
import type { Cancellation } from './port.ts'

/**
 * The end of one request: its deadline, or its client going away, whichever comes first. The server looks at the deadlines of all
 * requests by one timer; a timer is made only for one that nobody looks at, and that somebody listens to.
 */
export class RequestCancellation implements Cancellation {
  readonly deadline: number
  /** See `Timed`. */
  place = -1
  /** Those who wait for something of the request: a few at most. */
  readonly #listeners = new Set<() => void>()
  #timer: NodeJS.Timeout | undefined
  #ended = false
  #left = false
  #watched = false

  /** @param deadline on the clock of `performance.now()` */
  constructor(deadline: number) {
    this.deadline = deadline
  }

  get aborted(): boolean {
    return this.#ended || performance.now() > this.deadline
  }

  /** Whether it was the client that ended it. */
  get left(): boolean {
    return this.#left
  }

  /** From now on somebody calls {@link look}. */
  watched(): void {
    this.#watched = true
  }

  look(now: number): void {
    if (now >= this.deadline) this.expire()
  }

  onEnd(listener: () => void): void {
    if (this.#ended) return listener()
    this.#listeners.add(listener)
    if (!this.#watched) this.#timer ??= setTimeout(() => this.expire(), Math.max(0, this.deadline - performance.now()))
  }

  offEnd(listener: () => void): void {
    this.#listeners.delete(listener)
  }

  /** The client went away. */
  abort(): void {
    if (!this.#ended) this.#left = true
    this.expire()
  }

  /** Its time is over. */
  expire(): void {
    if (this.#ended) return
    this.#ended = true
    clearTimeout(this.#timer)
    for (const listener of this.#listeners) listener()
    this.#listeners.clear()
  }

  /** Nobody will ask any more: lets go of the timer. */
  end(): void {
    clearTimeout(this.#timer)
  }
}
