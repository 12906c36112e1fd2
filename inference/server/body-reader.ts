import type { Readable, Transform } from 'node:stream'
import { createGunzip, createInflate } from 'node:zlib'
import type { Timed } from '../deadline-watch.ts'
import type { Hold } from './hold.ts'
import type { NodeLimits } from './options.ts'
import { Refusal, refusalOfStatus } from './refusal.ts'

export type Encoding = 'identity' | 'gzip' | 'deflate'

export type BodyLimits = Pick<NodeLimits, 'maxBodyBytes' | 'maxBufferedBytes' | 'minBodyRate' | 'requestMs'>

type Inflater = Transform & { readonly bytesWritten: number }

interface Reading {
  readonly hold: Hold
  readonly encoding: Encoding
  /** Bytes on the wire, where they were declared. */
  readonly length: number | undefined
  readonly limits: BodyLimits
  /** When the request's headers were there, and when reading began, milliseconds. */
  readonly startedAt: number
  readonly begunAt: number
}

/** The first buffer of a body whose length is not known; it doubles from there. */
const firstBytes = 16_384
/**
 * A body grows to so many times what was sent, and beyond so many bytes, only where it was made to: tensors of zeros as JSON reach
 * about 500, and 1,032 is as far as deflate goes.
 */
const maxRatio = 600
const bombBytes = 1_048_576
/** The first second of a body is free. */
const graceMs = 1_000

/** Reads one body into one buffer. Many small pieces cost no more memory than one large one: none of them is kept. */
export class BodyReader implements Timed {
  place = -1
  readonly #reading: Reading
  readonly #ended = Promise.withResolvers<void>()
  #buffer: Buffer
  #size = 0
  #wireBytes = 0

  constructor(reading: Reading) {
    this.#reading = reading
    const { encoding, length } = reading
    // What is declared was reserved already.
    this.#buffer = encoding === 'identity' && length !== undefined ? Buffer.allocUnsafe(length) : Buffer.alloc(0)
  }

  get wireBytes(): number {
    return this.#wireBytes
  }

  /** Too late, or too slow: an average, so that a pause is forgiven to whoever was fast. */
  look(now: number): void {
    const { limits, startedAt, begunAt } = this.#reading
    const dueBytes = (limits.minBodyRate * (now - begunAt - graceMs)) / 1_000
    if (now - startedAt >= limits.requestMs || this.#wireBytes < dueBytes) this.#ended.reject(refusalOfStatus(408, undefined))
  }

  async read(payload: Readable): Promise<Buffer> {
    const inflater = this.#inflater()
    const stop = this.#listen(payload, inflater)
    try {
      await this.#ended.promise
    } finally {
      stop()
      inflater?.destroy()
      // What is still to come is for nobody; the connection is closed behind the answer.
      payload.resume()
    }
    const { length } = this.#reading
    if (length !== undefined && this.#wireBytes !== length) throw refusalOfStatus(400, undefined)
    // zlib says nothing of what follows the end of its stream: it leaves it.
    if (inflater !== undefined && inflater.bytesWritten !== this.#wireBytes) throw garbled()
    return this.#size === this.#buffer.length ? this.#buffer : this.#buffer.subarray(0, this.#size)
  }

  /** @returns what takes the listeners away; the one for errors stays, for a connection that breaks later. */
  #listen(payload: Readable, inflater: Inflater | undefined): () => void {
    const { resolve, reject } = this.#ended
    let [arrived, inflated] = [false, inflater === undefined]
    const onData = (chunk: Buffer) => {
      this.#wireBytes += chunk.length
      if (this.#wireBytes > this.#reading.limits.maxBodyBytes) return reject(refusalOfStatus(413, undefined))
      if (inflater === undefined) return this.#take(chunk)
      // Past the end of its stream nothing is written, and the count of what was says so.
      if (!inflated && !inflater.write(chunk)) payload.pause()
    }
    const onEnd = () => {
      arrived = true
      if (inflated) resolve()
      else inflater?.end()
    }
    const onGone = () => {
      if (!arrived) reject(new Refusal('ABORTED', 'The client went away.'))
    }
    payload.on('data', onData).once('end', onEnd).once('error', onGone).once('close', onGone)
    inflater?.on('data', (chunk: Buffer) => this.#take(chunk))
    inflater?.on('drain', () => payload.resume())
    inflater?.once('end', () => {
      inflated = true
      if (arrived) resolve()
      else payload.resume()
    })
    inflater?.on('error', (cause) => reject(garbled(cause)))
    return () => payload.off('data', onData).off('end', onEnd).off('close', onGone)
  }

  #inflater(): Inflater | undefined {
    const { encoding } = this.#reading
    if (encoding === 'identity') return undefined
    return encoding === 'gzip' ? createGunzip() : createInflate()
  }

  #take(chunk: Buffer): void {
    try {
      const size = this.#size + chunk.length
      if (size > bombBytes && size > this.#wireBytes * maxRatio) throw refusalOfStatus(413, undefined)
      if (size > this.#buffer.length) this.#grow(size)
      chunk.copy(this.#buffer, this.#size)
      this.#size = size
    } catch (error) {
      this.#ended.reject(error)
    }
  }

  #grow(size: number): void {
    const { hold, encoding, length, limits } = this.#reading
    if (encoding === 'identity' && length !== undefined) throw refusalOfStatus(400, undefined)
    if (size > limits.maxBodyBytes) throw refusalOfStatus(413, undefined)
    const capacity = Math.min(limits.maxBodyBytes, Math.max(size, firstBytes, this.#buffer.length * 2))
    hold.grow(capacity - this.#buffer.length)
    const grown = Buffer.allocUnsafe(capacity)
    this.#buffer.copy(grown, 0, 0, this.#size)
    this.#buffer = grown
  }
}

function garbled(cause?: unknown): Refusal {
  return new Refusal('MALFORMED', 'The body cannot be decompressed: send exactly one gzip or deflate (zlib) stream.', { cause })
}
