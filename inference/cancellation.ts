import { performance } from 'node:perf_hooks'
import type { Cancellation } from './port.ts'

/**
 * The end of one request: its deadline, or its client going away, whichever comes first. Most requests never ask for the signal,
 * and the server looks at the deadlines of all of them by one timer; a timer is made only for the signal of one that nobody looks at.
 */
export class RequestCancellation implements Cancellation {
  readonly deadline: number
  #controller: AbortController | undefined
  #timer: NodeJS.Timeout | undefined
  #onEnd: (() => void) | undefined
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

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#ended) this.#controller.abort()
      else if (!this.#watched) this.#timer = setTimeout(() => this.expire(), Math.max(0, this.deadline - performance.now()))
    }
    return this.#controller.signal
  }

  /** From now on somebody calls {@link look}. */
  watched(): void {
    this.#watched = true
  }

  look(now: number): void {
    if (now >= this.deadline) this.expire()
  }

  /** Calls back once when it ends, at once if it has; one at a time, and undefined takes it away. */
  whenEnded(callback: (() => void) | undefined): void {
    this.#onEnd = callback
    if (this.#ended) this.#tell()
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
    this.#tell()
    this.#controller?.abort()
  }

  /** Nobody will ask any more: lets go of the timer. */
  end(): void {
    clearTimeout(this.#timer)
  }

  #tell(): void {
    const callback = this.#onEnd
    this.#onEnd = undefined
    callback?.()
  }
}
