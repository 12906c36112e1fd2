import { z } from 'zod'
import { newEvent } from '../bus/codec.ts'
import { type CordonEvent, EventId, Instant, kinds } from '../schemas/index.ts'
import { IngestError } from './errors.ts'

/** What the collector takes. */
export type CollectedKind = 'flow' | 'telemetry'

export interface RejectedLine {
  /** Of NDJSON, or of the array, from 1. */
  readonly line: number
  readonly code: 'MALFORMED_JSON' | 'INVALID_DATA'
  readonly reason: string
  /** As it was sent. */
  readonly text: Uint8Array
}

export interface Collected<K extends CollectedKind> {
  readonly events: readonly CordonEvent<K>[]
  readonly rejected: readonly RejectedLine[]
}

const decoder = new TextDecoder('utf-8', { fatal: true })

/** The envelope's part of a line; the rest is the kind's data. Times are milliseconds, or RFC 3339. */
const Envelope = z.object({
  id: EventId.optional(),
  time: z.union([
    Instant,
    z.iso
      .datetime({ offset: true })
      .transform((text) => Date.parse(text))
      .pipe(Instant),
  ]),
})

/**
 * Reads events sent as NDJSON, or as one JSON array (what begins with a bracket).
 *
 * @param source who sends them
 * @param most events
 * @param given the id of an event that brings none; default a new one
 * @throws IngestError `EMPTY_BODY`, `MALFORMED_BODY` or `TOO_MANY_EVENTS`; single bad events are returned as rejected
 */
export function readEvents<K extends CollectedKind>(
  kind: K,
  body: Uint8Array,
  source: string,
  most: number,
  given?: EventId,
): Collected<K> {
  const events: CordonEvent<K>[] = []
  const rejected: RejectedLine[] = []
  let count = 0
  for (const { line, text, value } of isArray(body) ? readArray(body) : readLines(body)) {
    if (++count > most) throw new IngestError('TOO_MANY_EVENTS', `more than ${most} events; send them in parts`)
    const result =
      value === undefined ? { code: 'MALFORMED_JSON' as const, reason: 'it is not JSON in UTF-8' } : eventOf(kind, value, source, given)
    if ('code' in result) rejected.push({ line, text, ...result })
    else events.push(result)
  }
  if (count === 0) throw new IngestError('EMPTY_BODY', 'there is no event in the body; send JSON lines or a JSON array')
  return { events, rejected }
}

interface Item {
  readonly line: number
  readonly text: Uint8Array
  /** Undefined where it is no JSON. */
  readonly value: unknown
}

const bracket = 0x5b

function isArray(body: Uint8Array): boolean {
  return body.find((byte) => byte > 0x20) === bracket
}

function* readLines(body: Uint8Array): Generator<Item> {
  let line = 0
  for (let from = 0; from < body.length; ) {
    const end = body.indexOf(0x0a, from)
    const text = body.subarray(from, end < 0 ? body.length : end)
    from = end < 0 ? body.length : end + 1
    line++
    if (text.some((byte) => byte > 0x20)) yield { line, text, value: parse(text) }
  }
}

function* readArray(body: Uint8Array): Generator<Item> {
  const items = parse(body)
  if (!Array.isArray(items)) throw new IngestError('MALFORMED_BODY', 'the body begins as a JSON array and is none')
  for (const [index, value] of items.entries()) yield { line: index + 1, text: textOf(value), value: value as unknown }
}

/** JSON can be read deeper than it can be written. */
function textOf(value: unknown): Uint8Array {
  try {
    return Buffer.from(JSON.stringify(value))
  } catch {
    return Buffer.from('nested too deeply to be shown')
  }
}

function parse(text: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(text)) as unknown
  } catch {
    return undefined
  }
}

function eventOf<K extends CollectedKind>(
  kind: K,
  value: unknown,
  source: string,
  given: EventId | undefined,
): CordonEvent<K> | { code: 'INVALID_DATA'; reason: string } {
  const envelope = Envelope.safeParse(value)
  if (!envelope.success) return invalid(envelope.error)
  const data = kinds[kind].schema.safeParse(value)
  if (!data.success) return invalid(data.error)
  const { id, time } = envelope.data
  return newEvent(kind, data.data as CordonEvent<K>['data'], source, time, id?.toLowerCase() ?? given)
}

function invalid(error: z.ZodError): { code: 'INVALID_DATA'; reason: string } {
  const [issue] = error.issues
  const path = issue?.path.map(String).join('.') ?? ''
  return { code: 'INVALID_DATA', reason: `${path === '' ? '' : `${path}: `}${issue?.message ?? 'invalid'}`.slice(0, 500) }
}
