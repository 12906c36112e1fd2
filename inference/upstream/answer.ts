import type { InferenceError } from '../errors.ts'
import type { Endpoint } from './endpoint.ts'
import { type Failure, failureOf, failureOfHead } from './failure.ts'
import { type Patience, Reception } from './reception.ts'

/** How much of an answer that nobody reads is read anyway, so that its connection can be used again; and for how long. */
const unread = { bytes: 65_536, ms: 250 }

/** One endpoint's answer to one request, its failures in this room's words. */
export class Answer {
  readonly endpoint: string
  readonly queueMs: number
  readonly reception: Reception
  readonly #clock: () => number
  #failure: Failure | undefined

  /** @param onEnd called once, when it is over: with what was wrong, if anything */
  constructor(
    { label, watch }: Endpoint,
    queueMs: number,
    patience: Patience,
    clock: () => number,
    onEnd: (failure: Failure | undefined) => void,
  ) {
    this.endpoint = label
    this.queueMs = queueMs
    this.#clock = clock
    this.reception = new Reception(patience, watch, (error) => {
      // The head says it, whatever becomes of the body.
      this.#failure = this.#headFailure() ?? (error === undefined ? undefined : this.#broken(error))
      onEnd(this.#failure)
    })
  }

  get status(): number {
    return this.reception.status
  }

  /** Whether it is a refusal of this very request. */
  get refuses(): boolean {
    return this.status >= 400
  }

  /** A header that came twice is both, which is never what is wanted. */
  header(name: string): string | undefined {
    return this.reception.headers[name]?.toString()
  }

  /** Nobody waits any more: ends it at once. */
  readonly cancel = (): void => this.reception.giveUp('cancelled')

  /** Whoever read it cannot use it. */
  discard(): void {
    const { reception } = this
    const timer = setTimeout(() => reception.giveUp('unread'), unread.ms).unref()
    reception.collect(unread.bytes).then(
      () => clearTimeout(timer),
      () => clearTimeout(timer),
    )
  }

  /** Waits for the head. @returns what is wrong; then the rest was seen to */
  async begun(): Promise<Failure | undefined> {
    try {
      await this.reception.head
    } catch (error) {
      return this.#broken(asError(error))
    }
    const failure = this.#headFailure()
    if (failure !== undefined) this.discard()
    return failure
  }

  /** The next chunk of the body; undefined at the end. */
  async next(): Promise<Uint8Array | undefined> {
    try {
      return await this.reception.next()
    } catch (error) {
      throw this.#errorOf(error)
    }
  }

  /** The whole body. */
  async collect(limit: number): Promise<Buffer> {
    try {
      return await this.reception.collect(limit)
    } catch (error) {
      throw this.#errorOf(error)
    }
  }

  #headFailure(): Failure | undefined {
    const { status, headers } = this.reception
    return status === 0 ? undefined : failureOfHead(status, headers, this.endpoint, this.#clock())
  }

  #broken(error: Error): Failure {
    return failureOf(error, this.reception.started, this.status, this.endpoint)
  }

  #errorOf(error: unknown): InferenceError {
    return this.#broken(asError(error)).error
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error('undici threw', { cause: error })
}
