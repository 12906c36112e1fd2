import { performance } from 'node:perf_hooks'
import type { Cancellation } from './port.ts'

/** The end of one request: its deadline, or its client going away, whichever comes first. Most requests never ask for the signal. */
export class RequestCancellation implements Cancellation {
  readonly deadline: number
  #controller: AbortController | undefined
  #timer: NodeJS.Timeout | undefined
  #aborted = false

  /** @param deadline on the clock of `performance.now()` */
  constructor(deadline: number) {
    this.deadline = deadline
  }

  get aborted(): boolean {
    return this.#aborted || performance.now() > this.deadline
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#aborted) this.#controller.abort()
      else this.#timer = setTimeout(() => this.abort(), Math.max(0, this.deadline - performance.now()))
    }
    return this.#controller.signal
  }

  abort(): void {
    this.#aborted = true
    this.#controller?.abort()
    clearTimeout(this.#timer)
  }

  /** Nobody will ask any more: lets go of the timer. */
  end(): void {
    clearTimeout(this.#timer)
  }
}
