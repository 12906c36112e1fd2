import type { FastifyInstance, FastifyPluginCallback } from 'fastify'
import type { Logger } from 'pino'
import { z } from 'zod'
import { encode, newEvent } from '../bus/codec.ts'
import { deadLetterOf } from '../bus/dead-letter.ts'
import type { EventBus, OutgoingRecord } from '../bus/port.ts'
import { EventId, FlowEvent, Instant, TelemetryEvent } from '../schemas/index.ts'
import { IngestError } from './errors.ts'

export interface CollectorOptions {
  readonly bus: EventBus
  readonly clock: () => Instant
  readonly log: Logger
  /** Who dead letters say they come from. */
  readonly source: string
}

export interface Rejection {
  /** Place in the body, from 1: the line of NDJSON, or the item of the array. */
  readonly line: number
  readonly code: 'MALFORMED_JSON' | 'INVALID_DATA'
  readonly reason: string
}

const bodyBytes = 8 * 1_048_576
const maxEvents = 20_000
/** Rejections told and kept in one answer; all are counted. */
const maxTold = 100

/** An event as a sender writes it: its data, when it happened, and its own id where a second delivery must change nothing. */
const Envelope = z.object({ id: EventId.optional(), time: Instant })

/**
 * The HTTP collector: `POST /v1/flows` and `POST /v1/telemetry`, each event `{id?, time, …data}`, as NDJSON
 * (`application/x-ndjson`) or a JSON array. Answers 202 `{accepted, rejected}` once what was accepted is durable
 * on the bus, and each rejected line is a dead letter with its reason. Exits: 400 not JSON at all, 413 too large or too many,
 * 415 another content type, 503 with Retry-After while the bus is away.
 *
 * Authentication is that of the listener it is registered on.
 */
export function collector(options: CollectorOptions): FastifyPluginCallback {
  return (app, _options, done) => {
    app.removeAllContentTypeParsers()
    app.addContentTypeParser(
      ['application/x-ndjson', 'application/json'],
      { parseAs: 'string', bodyLimit: bodyBytes },
      (request, body, parsed) => {
        try {
          const type = request.headers['content-type'] ?? ''
          parsed(null, type.startsWith('application/json') ? fromJson(String(body)) : fromLines(String(body)))
        } catch (error) {
          parsed(error as Error)
        }
      },
    )
    const { source } = options
    route(app, '/v1/flows', FlowEvent, options, (data, { time, id }) => encode('flows', newEvent('flow', data, source, time, id)))
    route(app, '/v1/telemetry', TelemetryEvent, options, (data, { time, id }) =>
      encode('telemetry', newEvent('telemetry', data, source, time, id)),
    )
    done()
  }
}

/** One event of a body: parsed, or the text that could not be. */
type Line = { readonly value: unknown } | { readonly text: string }
type Outcome = { readonly record: OutgoingRecord } | { readonly rejection: Rejection; readonly text: string }
type Make<S extends z.ZodType> = (data: z.infer<S>, envelope: z.infer<typeof Envelope>) => OutgoingRecord

function route<S extends z.ZodType>(app: FastifyInstance, path: string, schema: S, options: CollectorOptions, make: Make<S>): void {
  const { bus, clock, log, source } = options
  app.post(path, { bodyLimit: bodyBytes }, async (request, reply) => {
    if (!Array.isArray(request.body))
      throw new IngestError('UNSUPPORTED_MEDIA_TYPE', 'send application/x-ndjson, or a JSON array as application/json')
    const outcomes = (request.body as Line[]).map((line, i) => read(schema, make, line, i + 1))
    // The log's own time is when it got here: what a sender's clock says must not decide how long a record is kept.
    const records = outcomes.flatMap((outcome) => ('record' in outcome ? [{ ...outcome.record, timestamp: clock() }] : []))
    const rejected = outcomes.flatMap((outcome) => ('rejection' in outcome ? [outcome] : []))
    const letters = rejected.slice(0, maxTold).map(({ rejection, text }) => letterOf(path, rejection, text, clock(), source))
    try {
      if (records.length + letters.length > 0) await bus.publish([...records, ...letters])
    } catch (cause) {
      log.warn({ err: cause }, 'the collector cannot write to the bus')
      reply.header('retry-after', '5')
      throw new IngestError('BUS_AWAY', 'the events could not be made durable: send all of them again', { cause })
    }
    const told = rejected.slice(0, maxTold).map(({ rejection }) => rejection)
    return reply.code(202).send({ accepted: records.length, rejectedCount: rejected.length, rejected: told })
  })
}

function read<S extends z.ZodType>(schema: S, make: Make<S>, line: Line, at: number): Outcome {
  if ('text' in line) return { rejection: { line: at, code: 'MALFORMED_JSON', reason: 'not JSON' }, text: line.text }
  const envelope = Envelope.safeParse(line.value)
  const data = schema.safeParse(line.value)
  if (envelope.success && data.success) return { record: make(data.data, envelope.data) }
  const issue = (envelope.error ?? data.error)?.issues[0]
  const reason = `${issue?.path.join('.') || 'event'}: ${issue?.message ?? 'invalid'}`
  return { rejection: { line: at, code: 'INVALID_DATA', reason }, text: JSON.stringify(line.value) }
}

function letterOf(path: string, { line, code, reason }: Rejection, text: string, now: Instant, source: string): OutgoingRecord {
  const rejected = {
    topic: path.slice('/v1/'.length),
    partition: 0,
    offset: -1,
    key: null,
    value: Buffer.from(text),
    headers: {},
    timestamp: now,
  }
  const letter = deadLetterOf(rejected, new Error(`line ${line}: ${reason}`), now)
  return encode('dead-letters', newEvent('dead-letter', { ...letter, code }, source, now))
}

function fromJson(text: string): Line[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new IngestError('MALFORMED_BODY', 'the body is not JSON', { cause })
  }
  if (!Array.isArray(value)) throw new IngestError('MALFORMED_BODY', 'the body must be an array of events')
  if (value.length > maxEvents) throw new IngestError('TOO_MANY_EVENTS', `send at most ${maxEvents} events at a time`)
  return value.map((item: unknown) => ({ value: item }))
}

/** Split at \n only: other line separators may stand inside strings. */
function fromLines(text: string): Line[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  if (lines.length > maxEvents) throw new IngestError('TOO_MANY_EVENTS', `send at most ${maxEvents} events at a time`)
  return lines.map((line) => {
    try {
      return { value: JSON.parse(line) as unknown }
    } catch {
      return { text: line }
    }
  })
}
