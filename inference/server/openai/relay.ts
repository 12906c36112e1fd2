import type { ServerResponse } from 'node:http'
import { performance } from 'node:perf_hooks'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { padEvents } from '../../hardening/padding.ts'
import type { TextAnswer } from '../../port.ts'
import { departure, servedBy } from '../departure.ts'
import type { Exchange } from '../exchange.ts'
import { refusalOf } from '../failures.ts'
import { hardeningOf, ofLevel } from '../hardening.ts'
import { exchangeOf, finish } from '../model-routes.ts'
import { Refusal } from '../refusal.ts'
import type { Slot } from '../service.ts'
import type { AnswerReader } from './answer-reader.ts'
import { AnswerStream } from './answer-stream.ts'
import { AnswerTap } from './answer-tap.ts'
import type { GuardedRequest } from './guard-request.ts'
import { unusable } from './invalid.ts'
import type { OpenaiParts } from './parts.ts'
import { note } from './tally.ts'

/** Pieces that an upstream may still send after its `[DONE]`, to end well and have its connection used again. */
const maxAfterDone = 8

export interface Relayed {
  readonly guarded: GuardedRequest
  readonly answer: TextAnswer
  readonly slot: Slot
  /** Undefined where nobody looks at what is said. */
  readonly reader: AnswerReader | undefined
}

/**
 * Passes a stream on as it comes. Until its first event is there, what goes wrong is an ordinary error, and thrown.
 * After it, the client is told by an event with `error`, on which its SDK throws, and the connection ends without the
 * end of the body, so that nobody takes half an answer for a whole one.
 *
 * The request's event is written before `[DONE]` is passed on. A slow client makes the upstream wait.
 */
export async function relay(
  parts: OpenaiParts,
  request: FastifyRequest,
  reply: FastifyReply,
  { guarded: { asked, texts }, answer, slot, reader }: Relayed,
): Promise<void> {
  const { service } = parts
  const exchange = exchangeOf(request)
  const configuration = parts.configurationOf(exchange.model ?? '')
  const hardening = () => hardeningOf(service, exchange, configuration)
  const tap = new AnswerTap(asked.inputBytes, reader)
  const stream = new AnswerStream({ tap, hardener: () => ofLevel(hardening()), tools: asked.tools, texts })
  exchange.streamed = true
  const passed = (piece: Buffer) => {
    note(exchange, tap.tally)
    return padEvents(piece, hardening()?.padTo ?? 0)
  }
  const pieces = piecesOf(stream, answer, passed)
  const reading = pieces.next()
  try {
    const first = await service.within(exchange, reading)
    if (first.done === true) throw unusable('answer_unreadable', 'The model answered with nothing.')
    const { floorMs } = hardening() ?? {}
    if (floorMs !== undefined) await departure(exchange, floorMs)
    reply.hijack()
    const over = parts.metrics.stream()
    await new Relay(parts, request, reply, { stream, tap, pieces, slot }).run(first.value).finally(over)
  } catch (error) {
    // It may still be waiting for the first piece.
    reading.catch(() => {})
    void pieces.return(undefined)
    throw error
  }
}

/** What may pass, piece by piece. */
async function* piecesOf(stream: AnswerStream, { body }: TextAnswer, passed: (piece: Buffer) => Buffer): AsyncGenerator<Buffer, undefined> {
  let after = 0
  for await (const chunk of body) {
    if (stream.done) {
      if (++after > maxAfterDone) return
      continue
    }
    const piece = passed(stream.push(chunk, performance.now()))
    if (piece.length > 0) yield piece
  }
  if (stream.done) return
  const rest = passed(stream.end(performance.now()))
  if (rest.length > 0) yield rest
}

interface Running {
  readonly stream: AnswerStream
  readonly tap: AnswerTap
  readonly pieces: AsyncGenerator<Buffer, undefined>
  readonly slot: Slot
}

/** A stream whose first piece is there: nothing is thrown any more. */
class Relay {
  readonly #parts: OpenaiParts
  readonly #request: FastifyRequest
  readonly #raw: ServerResponse
  readonly #exchange: Exchange
  readonly #running: Running
  #broken = false
  #lookedAt = performance.now()

  constructor(parts: OpenaiParts, request: FastifyRequest, reply: FastifyReply, running: Running) {
    this.#parts = parts
    this.#request = request
    this.#raw = reply.raw
    this.#exchange = exchangeOf(request)
    this.#running = running
    reply.headers({
      ...running.slot.headers,
      ...servedBy(this.#exchange),
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
    })
    // Else the client keeps an idle connection that closing would wait for.
    if (parts.closing()) reply.header('connection', 'close')
    for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) reply.raw.setHeader(name, value)
    reply.raw.writeHead(200)
  }

  async run(first: Buffer): Promise<void> {
    const { pieces, slot } = this.#running
    const { cancellation } = this.#exchange
    const leave = () => this.#leave()
    const expire = () => this.#breakOff(new Refusal('TIMED_OUT_UPSTREAM', 'The answer took too long.'))
    this.#raw.once('close', leave)
    cancellation.onEnd(expire)
    try {
      let piece: IteratorResult<Buffer, undefined> = { done: false, value: first }
      while (piece.done !== true && !this.#raw.destroyed) {
        await this.#pass(piece.value)
        piece = await pieces.next()
      }
      this.#end()
    } catch (error) {
      this.#breakOff(error)
    } finally {
      cancellation.offEnd(expire)
      slot.leave()
      await pieces.return(undefined)
    }
  }

  async #pass(piece: Buffer): Promise<void> {
    const { stream } = this.#running
    this.#look()
    this.#exchange.bytesOut += piece.length
    if (stream.done) this.#record()
    if (!this.#raw.write(piece)) await drained(this.#raw)
    if (stream.done) this.#raw.end()
  }

  #look(): void {
    const now = performance.now()
    if (now - this.#lookedAt < this.#parts.limits.streamLookMs) return
    this.#lookedAt = now
    this.#parts.service.recheck(this.#exchange)
  }

  #end(): void {
    if (this.#raw.writableEnded || this.#broken || this.#raw.destroyed) return
    this.#record()
    this.#raw.end()
  }

  #record(): void {
    if (this.#running.tap.failed) this.#exchange.outcome = 'failed'
    finish(this.#parts, this.#request, 200)
  }

  /** The client is gone: its event was written, the upstream is told by the cancellation, and the place is free. */
  #leave(): void {
    this.#running.slot.leave()
    void this.#running.pieces.return(undefined).catch(() => {})
  }

  #breakOff(error: unknown): void {
    // A client that is gone is written down as such, by whoever saw it leave.
    if (this.#broken || this.#exchange.cancellation.left || this.#raw.destroyed || this.#raw.writableEnded) return
    this.#broken = true
    const known = refusalOf(error)
    const refusal =
      known instanceof Refusal ? known : new Refusal('FAILED', 'Something went wrong on our side; try again.', { cause: error })
    if (refusal.code === 'FAILED') this.#parts.log.error({ err: error }, 'node: a stream failed')
    const event = Buffer.from(`data: ${refusal.body('openai')}\n\n`)
    this.#exchange.bytesOut += event.length
    this.#exchange.outcome = refusal.outcome
    this.#exchange.lease = refusal.details.lease ?? this.#exchange.lease
    finish(this.#parts, this.#request, 200)
    const { socket } = this.#raw
    this.#raw.write(event, () => socket?.destroySoon())
  }
}

/** Resolves when the client has read what was written, or is gone. */
function drained(raw: ServerResponse): Promise<void> {
  if (raw.destroyed) return Promise.resolve()
  return new Promise((resolve) => {
    const go = () => {
      raw.off('drain', go)
      raw.off('close', go)
      resolve()
    }
    raw.on('drain', go)
    raw.on('close', go)
  })
}
