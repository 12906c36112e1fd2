import { performance } from 'node:perf_hooks'
import type { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import type { DeadlineWatch } from '../deadline-watch.ts'
import { type BodyLimits, BodyReader, type Encoding } from './body-reader.ts'
import { Budget } from './budget.ts'
import type { Exchange } from './exchange.ts'
import { Hold } from './hold.ts'
import { Refusal, refusalOfStatus } from './refusal.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** What its body holds of the budget. */
    hold: Hold | null
  }
}

/** Memory of zlib for one stream: its window of 32 KiB and what goes with it. */
const inflaterBytes = 65_536

/** Reads the bodies of requests into memory, within bounds: of each, of all together, of each principal, and of time. */
export class Bodies {
  readonly #limits: BodyLimits
  readonly #budget: Budget
  readonly #watch: DeadlineWatch
  readonly #now: () => number

  constructor(limits: BodyLimits, watch: DeadlineWatch, now = () => performance.now()) {
    this.#limits = limits
    this.#budget = new Budget(limits.maxBufferedBytes)
    this.#watch = watch
    this.#now = now
  }

  /** Bytes of bodies in memory. */
  get bufferedBytes(): number {
    return this.#budget.total
  }

  /**
   * Refuses by the headers what would not be read to its end, and keeps room for what is declared.
   *
   * @throws Refusal `MEDIA_TYPE`, `TOO_LARGE`, `OVERLOADED`
   */
  expect(request: FastifyRequest, { principal }: Exchange): void {
    if (request.method !== 'POST') return
    const { headers } = request
    const encoding = encodingOf(headers['content-encoding'])
    const length = lengthOf(headers['content-length'])
    const { maxBodyBytes } = this.#limits
    if (length !== undefined && length > maxBodyBytes) throw refusalOfStatus(413, undefined)
    const hold = new Hold(this.#budget, principal, this.#now)
    hold.grow(encoding === 'identity' ? (length ?? 0) : inflaterBytes)
    request.hold = hold
  }

  /**
   * The body as it was before it was compressed. Its bytes stay held until {@link release}.
   *
   * @throws Refusal `MALFORMED`, `TOO_LARGE`, `TIMED_OUT`, `OVERLOADED`, `ABORTED`
   */
  async read(request: FastifyRequest, payload: Readable, exchange: Exchange): Promise<Buffer> {
    const { hold, headers } = request
    if (hold === null) throw new Error('a body that was not expected')
    const encoding = encodingOf(headers['content-encoding'])
    const length = lengthOf(headers['content-length'])
    const reader = new BodyReader({ hold, encoding, length, limits: this.#limits, startedAt: exchange.startedAt, begunAt: this.#now() })
    this.#watch.add(reader)
    try {
      return await reader.read(payload)
    } finally {
      this.#watch.delete(reader)
      exchange.bytesIn = reader.wireBytes
    }
  }

  /** The request is at its end: nobody reads its body any more. */
  release(request: FastifyRequest): void {
    request.hold?.release()
    request.hold = null
  }
}

function encodingOf(header: string | undefined): Encoding {
  if (header === undefined) return 'identity'
  const name = header.trim().toLowerCase()
  if (name === 'gzip' || name === 'deflate' || name === 'identity') return name
  throw new Refusal('MEDIA_TYPE', 'Send the body as it is, or compressed once, with gzip or deflate.', {
    headers: { 'accept-encoding': 'gzip, deflate' },
  })
}

/** The parser of HTTP let nothing but digits through; a hand-made request may still say anything. */
function lengthOf(header: string | undefined): number | undefined {
  if (header === undefined) return undefined
  const length = Number(header)
  if (!Number.isSafeInteger(length) || length < 0) throw refusalOfStatus(400, undefined)
  return length
}
