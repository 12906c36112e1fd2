import { setTimeout as delay } from 'node:timers/promises'

/** A pause that doubles with each failure in a row, from 50 ms to `most` (default 5 s), and ends early when `signal` aborts. */
export class Pause {
  readonly #most: number
  #failures = 0

  constructor(most = 5_000) {
    this.#most = most
  }

  reset(): void {
    this.#failures = 0
  }

  async wait(signal?: AbortSignal): Promise<void> {
    const milliseconds = Math.min(this.#most, 50 * 2 ** this.#failures)
    this.#failures = Math.min(this.#failures + 1, 10)
    await delay(milliseconds, undefined, { signal }).catch(() => {})
  }
}
