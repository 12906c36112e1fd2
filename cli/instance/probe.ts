/**
 * Asks something that may be slow to answer, for those who cannot wait: one question at a time, and what it answered
 * last where it does not answer in time.
 */
export class Probe<T> {
  readonly #ask: () => Promise<T>
  readonly #withinMs: number
  #asking: Promise<void> | undefined
  #last: T
  #error: string | null = null

  /** @param first what to say until it answers for the first time */
  constructor(ask: () => Promise<T>, first: T, withinMs: number) {
    this.#ask = ask
    this.#last = first
    this.#withinMs = withinMs
  }

  /** `error` is null where the answer is fresh. */
  async read(): Promise<{ readonly value: T; readonly error: string | null }> {
    this.#asking ??= this.#renew()
    const late = Promise.withResolvers<'late'>()
    const timer = setTimeout(() => late.resolve('late'), this.#withinMs)
    const first = await Promise.race([this.#asking, late.promise])
    clearTimeout(timer)
    return { value: this.#last, error: first === 'late' ? `no answer within ${this.#withinMs} ms` : this.#error }
  }

  async #renew(): Promise<void> {
    try {
      this.#last = await this.#ask()
      this.#error = null
    } catch (error) {
      this.#error = error instanceof Error ? error.message : String(error)
    } finally {
      this.#asking = undefined
    }
  }
}
