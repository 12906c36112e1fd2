/**
 * Asks something that may be slow to answer, for those who cannot wait: one question at a time, and nothing where it
 * does not answer in time.
 */
export class Probe<T> {
  readonly #ask: () => Promise<T>
  readonly #withinMs: number
  #asking: Promise<Answer<T>> | undefined

  constructor(ask: () => Promise<T>, withinMs: number) {
    this.#ask = ask
    this.#withinMs = withinMs
  }

  async read(): Promise<Answer<T>> {
    this.#asking ??= this.#renew()
    const late = Promise.withResolvers<Answer<T>>()
    const timer = setTimeout(() => late.resolve({ value: null, error: `no answer within ${this.#withinMs} ms` }), this.#withinMs)
    const answer = await Promise.race([this.#asking, late.promise])
    clearTimeout(timer)
    return answer
  }

  async #renew(): Promise<Answer<T>> {
    try {
      return { value: await this.#ask(), error: null }
    } catch (error) {
      return { value: null, error: error instanceof Error ? error.message : String(error) }
    } finally {
      this.#asking = undefined
    }
  }
}

type Answer<T> = { readonly value: T; readonly error: null } | { readonly value: null; readonly error: string }
