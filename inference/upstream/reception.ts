import { performance } from 'node:perf_hooks'
import type { Dispatcher } from 'undici'
import type { DeadlineWatch, Timed } from '../deadline-watch.ts'

/** Bytes of an answer that wait here for a slow reader before the connection is paused. */
const highWater = 262_144

/** Headers of an answer that mean something here, as they came. */
export type AnswerHeaders = Readonly<Record<string, string | string[] | undefined>>

/** Why an answer was given up on this side. */
export class GivenUp extends Error {
  readonly reason: 'cancelled' | 'closed' | 'unconnected' | 'late' | 'too-large' | 'unread'

  constructor(reason: GivenUp['reason']) {
    super(`given up: ${reason}`)
    this.reason = reason
  }
}

/** How long connecting may take, and the answer to begin, and to pause; a pause that a slow reader makes does not count. Milliseconds. */
export interface Patience {
  readonly connectMs: number
  readonly firstByteMs: number
  readonly idleMs: number
}

/**
 * Receives one answer from undici: its head, then its body in the chunks that came, for one reader.
 *
 * Every failure comes out of `head` or of the reading, whichever is under way. Nothing is copied, and no more than some
 * 256 KiB waits for the reader, unless all of it is collected.
 */
export class Reception implements Dispatcher.DispatchHandler, Timed {
  place = -1
  /** Whether undici began to write the request: before that, the endpoint cannot have begun the work. */
  started = false
  status = 0
  headers: AnswerHeaders = {}
  /** Most bytes of the body; more are `too-large`. */
  limit = Number.POSITIVE_INFINITY
  /** Settles when the head is there. */
  readonly head: Promise<void>
  #headed: () => void
  #failed: (error: Error) => void
  #controller: Dispatcher.DispatchController | undefined
  #chunks: Uint8Array[] = []
  #next = 0
  #queued = 0
  #received = 0
  #paused = false
  #collecting = false
  #over = false
  #error: Error | undefined
  #wake: (() => void) | undefined
  readonly #patience: Patience
  readonly #onEnd: (error: Error | undefined) => void
  readonly #watch: DeadlineWatch
  /** When it is given up, unless something happens before. */
  #dueAt: number

  /**
   * @param watch looks whether its time is over: undici's own timeouts are as coarse as a second
   * @param onEnd called once, when the connection is free again or was never had; perhaps before the reader has read all
   */
  constructor(patience: Patience, watch: DeadlineWatch, onEnd: (error: Error | undefined) => void) {
    this.#patience = patience
    this.#watch = watch
    this.#onEnd = onEnd
    this.#dueAt = performance.now() + patience.connectMs
    watch.add(this)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.head = promise
    this.#headed = resolve
    this.#failed = reject
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#error !== undefined) return controller.abort(this.#error)
    this.started = true
    this.#dueAt = performance.now() + this.#patience.firstByteMs
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: AnswerHeaders): void {
    if (status < 200) return
    this.status = status
    this.headers = headers
    this.#moved()
    this.#headed()
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Uint8Array): void {
    this.#moved()
    this.#received += chunk.length
    if (this.#received > this.limit) return this.giveUp('too-large')
    this.#chunks.push(chunk)
    this.#queued += chunk.length
    if (this.#queued > highWater && !this.#collecting) {
      this.#paused = true
      controller.pause()
    }
    if (!this.#collecting) this.#woken()
  }

  onResponseEnd(): void {
    this.#end(undefined)
  }

  onResponseError(_: Dispatcher.DispatchController | undefined, error: Error): void {
    this.#end(error)
  }

  /** A pause that a slow reader makes is not the endpoint's. */
  look(now: number): void {
    if (now >= this.#dueAt && !this.#paused) this.giveUp(this.started ? 'late' : 'unconnected')
  }

  /** Ends it from this side, at once, and with it the connection; harmless when it is over. */
  giveUp(reason: GivenUp['reason']): void {
    if (this.#over) return
    const error = new GivenUp(reason)
    const controller = this.#controller
    this.#end(error)
    controller?.abort(error)
  }

  /** The next chunk; undefined at the end. Throws what the answer broke off with. */
  async next(): Promise<Uint8Array | undefined> {
    while (true) {
      const chunk = this.#chunks[this.#next]
      if (chunk !== undefined) {
        this.#next++
        this.#queued -= chunk.length
        if (this.#next === this.#chunks.length) this.#rewind()
        if (this.#paused && this.#queued <= highWater / 2) this.#resume()
        return chunk
      }
      if (this.#error !== undefined) throw this.#error
      if (this.#over) return undefined
      await this.#change()
    }
  }

  /** All of the body, or what it broke off with. */
  async collect(limit: number): Promise<Buffer> {
    this.limit = limit
    if (this.#received > limit) this.giveUp('too-large')
    this.#collecting = true
    if (this.#paused) this.#resume()
    while (!this.#over) await this.#change()
    if (this.#error !== undefined) throw this.#error
    const [only] = this.#chunks
    if (only !== undefined && this.#chunks.length === 1) return Buffer.from(only.buffer, only.byteOffset, only.byteLength)
    return Buffer.concat(this.#chunks, this.#received)
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  #woken(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }

  #rewind(): void {
    this.#chunks = []
    this.#next = 0
  }

  #resume(): void {
    this.#paused = false
    this.#moved()
    this.#controller?.resume()
  }

  #moved(): void {
    this.#dueAt = performance.now() + this.#patience.idleMs
  }

  #end(error: Error | undefined): void {
    if (this.#over) return
    this.#over = true
    this.#watch.delete(this)
    this.#error = error
    if (this.status === 0) this.#failed(error ?? new GivenUp('unread'))
    this.#woken()
    this.#onEnd(error)
  }
}
