import type { FastifyPluginCallback, FastifyRequest } from 'fastify'
import type { Logger } from 'pino'
import { encode, newEvent } from '../bus/codec.ts'
import { deadLetterOf } from '../bus/dead-letter.ts'
import type { EventBus, OutgoingRecord } from '../bus/port.ts'
import { CordonError, type Instant } from '../schemas/index.ts'
import { IngestError, problemOf } from './errors.ts'
import { type CollectedKind, type RejectedLine, readEvents } from './event-lines.ts'

export interface CollectorOptions {
  readonly bus: EventBus
  readonly clock: () => Instant
  readonly log: Logger
  /** Whom events are from, when `authorise` does not say. */
  readonly source: string
  /**
   * Who sends: the sensor's name, or true for {@link CollectorOptions.source}; false refuses with 401. Absent where the
   * listener that the collector is registered on has let the request in already.
   */
  readonly authorise?: (request: FastifyRequest) => string | boolean | Promise<string | boolean>
  /** How long the bus may take before a sender is told to come again. Default 10 s. */
  readonly answerMs?: number
}

const types = ['application/json', 'application/x-ndjson', 'application/ndjson', 'application/jsonl']
const maxBytes = 8 << 20
const maxEvents = 10_000
/** Records and bytes of one call to the bus: what a broker takes in one go by default, with room to spare. */
const atOnce = 500
const bytesAtOnce = 512 << 10
/** Bodies held at once: with the bus away, senders that come again must not pile up. */
const maxBodies = 16

const routes: readonly { readonly path: string; readonly topic: 'flows' | 'telemetry'; readonly kind: CollectedKind }[] = [
  { path: '/v1/flows', topic: 'flows', kind: 'flow' },
  { path: '/v1/telemetry', topic: 'telemetry', kind: 'telemetry' },
]

/**
 * Takes flow and telemetry events over HTTP, as NDJSON or a JSON array of `{id?, time, …data}`. Answers 202 with
 * `{accepted, rejected: [{line, code, reason}]}` when all of it is durable on the bus, the rejected lines as dead
 * letters. An event sent with an id may be sent again: it is stored once.
 *
 * Failures are problem details with a code of `IngestErrorCode`: 400, 401, 413, 415, and 503 with Retry-After while
 * the bus refuses, or does not answer within `answerMs`, or too many bodies wait for it (send the same again). After 503
 * some events may be on the bus: those with ids are stored once, those without may be stored twice.
 */
export function collector(options: CollectorOptions): FastifyPluginCallback {
  return (app, _settings, done) => {
    const sources = new WeakMap<FastifyRequest, string>()
    let bodies = 0
    app.removeAllContentTypeParsers()
    app.addContentTypeParser(types, { parseAs: 'buffer' }, (_request, body, parsed) => parsed(null, body))
    app.setErrorHandler((error, _request, reply) => {
      const problem = problemOf(error)
      // Not ours: whoever shares the listener has its own handler and its own words.
      if (problem === null) throw error
      if (problem.status >= 500) options.log.error({ err: error }, 'the collector could not take events')
      if (problem.status === 401) void reply.header('www-authenticate', 'Bearer')
      if (problem.status === 503) void reply.header('retry-after', '1')
      return reply.code(problem.status).type('application/problem+json').send(problem)
    })
    // Before the body is read: strangers cost nothing.
    app.addHook('onRequest', async (request) => {
      const who = (await options.authorise?.(request)) ?? true
      if (who === false) throw new IngestError('UNAUTHENTICATED', 'a valid token is needed: Authorization: Bearer …')
      if (who !== true) sources.set(request, who)
    })
    for (const { path, topic, kind } of routes) {
      app.post(path, { bodyLimit: maxBytes }, async (request, reply) => {
        const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
        if (bodies >= maxBodies) throw new IngestError('TOO_BUSY', `${maxBodies} requests wait for the bus already; send the same again`)
        bodies++
        try {
          const answer = await take(options, topic, kind, body, sources.get(request) ?? options.source)
          return await reply.code(202).send(answer)
        } finally {
          bodies--
        }
      })
    }
    done()
  }
}

async function take(
  { bus, clock, log, answerMs = 10_000 }: CollectorOptions,
  topic: 'flows' | 'telemetry',
  kind: CollectedKind,
  body: Uint8Array,
  source: string,
) {
  const { events, rejected } = readEvents(kind, body, source, maxEvents)
  const letters = rejected.map((line) => letter(line, topic, source, clock()))
  await publish(bus, [...events.map((event) => encode(topic, event)), ...letters], answerMs)
  if (rejected.length > 0) log.warn({ topic, source, rejected: rejected.length }, 'events were rejected')
  return { accepted: events.length, rejected: rejected.map(({ line, code, reason }) => ({ line, code, reason })) }
}

/** A line never reached the bus, so it stands at offset -1; its id is new each time, for the same line may be wrong twice. */
function letter(line: RejectedLine, topic: string, source: string, now: Instant): OutgoingRecord {
  const record = { topic, partition: 0, offset: -1, key: null, value: line.text, headers: { line: String(line.line) }, timestamp: now }
  const data = deadLetterOf(record, new CordonError(line.code, line.reason), now)
  return encode('dead-letters', newEvent('dead-letter', data, source, now))
}

/** @throws IngestError `BUS_REFUSED` */
async function publish(bus: EventBus, records: readonly OutgoingRecord[], withinMs: number): Promise<void> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`no answer in ${withinMs} ms`)), withinMs)
  try {
    for (const part of partsOf(records)) await Promise.race([bus.publish(part), late.promise])
  } catch (cause) {
    throw new IngestError('BUS_REFUSED', 'the bus does not take events now; send the same again', { cause })
  } finally {
    clearTimeout(timer)
  }
}

function* partsOf(records: readonly OutgoingRecord[]): Generator<readonly OutgoingRecord[]> {
  let part: OutgoingRecord[] = []
  let bytes = 0
  for (const record of records) {
    part.push(record)
    bytes += record.value?.length ?? 0
    if (part.length < atOnce && bytes < bytesAtOnce) continue
    yield part
    part = []
    bytes = 0
  }
  if (part.length > 0) yield part
}
