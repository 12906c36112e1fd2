import {
  CordonError,
  type CordonEvent,
  EventId,
  type EventOf,
  Instant,
  type Kind,
  kinds,
  plainCaller,
  plainInference,
  type TopicName,
  termKey,
  topics,
} from '../schemas/index.ts'
import { BusError } from './errors.ts'
import { newEventId } from './event-id.ts'
import type { BusRecord, OutgoingRecord } from './port.ts'

/** Largest value of a record, in bytes. */
export const maxValueBytes = 1_048_576

const typePrefix = 'dev.cordon.'
const schemaPrefix = 'urn:cordon:schema:'
const dateTime = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/
const decoder = new TextDecoder('utf-8', { fatal: true })

/** The kind of event that a topic carries. */
export type TopicKind<T extends TopicName> = (typeof topics)[T]['kind']

/**
 * Makes an event with a new UUIDv7.
 *
 * @param source the node, sensor or role that says so
 * @param time event time in milliseconds
 * @param id given by whoever must name the event before or elsewhere
 */
export function newEvent<K extends Kind>(
  kind: K,
  data: CordonEvent<K>['data'],
  source: string,
  time: Instant,
  id?: EventId,
): CordonEvent<K> {
  return { kind, id: id ?? newEventId(time), time, source, data }
}

/**
 * An event as a record of its topic, in CloudEvents 1.0 binary mode (Kafka protocol binding).
 *
 * @throws BusError `TOO_LARGE` where its JSON exceeds {@link maxValueBytes}
 */
export function encode<T extends TopicName>(topic: T, event: CordonEvent<TopicKind<T>>): OutgoingRecord {
  const spec = topics[topic]
  const key = (spec.key as (data: CordonEvent<TopicKind<T>>['data']) => string)(event.data)
  return record(spec.name, key, event)
}

/** A host's tick for one partition of a topic. It has no key, since it belongs to no one. */
export function encodeTick(topic: string, partition: number, event: CordonEvent<'tick'>): OutgoingRecord {
  return { ...record(topic, null, event), partition }
}

/** The record that begins a writer's term on a topic. */
export function encodeTerm(topic: TopicName, event: CordonEvent<'term'>): OutgoingRecord {
  return record(topics[topic].name, termKey, event)
}

/** Deletes `key` from a compacted topic. */
export function tombstone(topic: TopicName, key: string, time: Instant): OutgoingRecord {
  return { topic: topics[topic].name, key, value: null, headers: {}, timestamp: time }
}

function record(topic: string, key: string | null, event: CordonEvent): OutgoingRecord {
  const value = Buffer.from(JSON.stringify(written(event)))
  if (value.length > maxValueBytes) {
    throw new BusError('TOO_LARGE', `encoding a ${event.kind} event: ${value.length} bytes, at most ${maxValueBytes} fit a record`)
  }
  const headers: Record<string, string> = {
    ce_specversion: '1.0',
    ce_id: event.id,
    ce_source: event.source,
    ce_type: typePrefix + event.kind,
    ce_time: textOf(event.time),
    ce_dataschema: `${schemaPrefix}${event.kind}:${kinds[event.kind].version}`,
    'content-type': 'application/json',
  }
  if (key !== null) headers.ce_partitionkey = key
  return { topic, key, value, headers, timestamp: event.time }
}

let lastTime: Instant = Number.NaN
let lastText = ''

/** The events of a request have one time, and those of a busy node a few a millisecond. */
function textOf(time: Instant): string {
  if (time !== lastTime) {
    lastText = new Date(time).toISOString()
    lastTime = time
  }
  return lastText
}

/** What readers fill in where it is missing, as the contract's defaults say: it is left out, a quarter of an ordinary request. */
const implied: Partial<Record<Kind, readonly (readonly [name: string, value: unknown])[]>> = {
  request: Object.entries(plainInference),
  fingerprint: Object.entries(plainCaller),
}

function written(event: CordonEvent): unknown {
  const defaults = implied[event.kind]
  if (defaults === undefined) return event.data
  const data: Record<string, unknown> = { ...event.data }
  for (const [name, value] of defaults) {
    const own = data[name]
    if (own === value || (Array.isArray(own) && own.length === 0)) data[name] = undefined
  }
  return data
}

/**
 * Reads a record as an event; its data is parsed with the contract of its kind, and fields that the contract does not
 * know are dropped. Whatever the bytes, what it throws is a BusError whose code says what to write on the dead letter.
 */
export function decode(record: BusRecord): EventOf<Kind> {
  try {
    return decodeUnguarded(record)
  } catch (error) {
    if (error instanceof CordonError) throw error
    throw new BusError('INVALID_DATA', `${where(record)}: reading it failed unexpectedly`, { cause: error })
  }
}

function decodeUnguarded(record: BusRecord): EventOf<Kind> {
  const { value } = record
  if (value !== null && value.length > maxValueBytes) {
    throw new BusError('TOO_LARGE', `${where(record)}: ${value.length} bytes, at most ${maxValueBytes} are read`)
  }
  if (attribute(record, 'ce_specversion') !== '1.0') invalid(record, 'ce_specversion', 'is not 1.0')
  const kind = kindOf(record)
  checkVersion(record, kind)
  const contentType = Object.hasOwn(record.headers, 'content-type') ? record.headers['content-type'] : undefined
  if (contentType !== undefined && !/^application\/json\s*(;|$)/i.test(contentType)) {
    invalid(record, 'content-type', 'is not application/json')
  }
  const id = attribute(record, 'ce_id')
  if (!EventId.safeParse(id).success) invalid(record, 'ce_id', 'is not a UUID')
  const source = attribute(record, 'ce_source')
  if (source.length === 0 || source.length > 256) invalid(record, 'ce_source', 'is not 1 to 256 characters')
  const time = instantOf(record)
  const data = kinds[kind].schema.safeParse(jsonOf(record))
  if (!data.success) throw new BusError('INVALID_DATA', `${where(record)}: not a valid ${kind}: ${firstIssue(data.error)}`)
  return { kind, id, time, source, data: data.data } as EventOf<Kind>
}

function attribute(record: BusRecord, name: string): string {
  const value = Object.hasOwn(record.headers, name) ? record.headers[name] : undefined
  if (value === undefined) throw new BusError('MISSING_ATTRIBUTE', `${where(record)}: the header ${name} is missing`)
  return value
}

function kindOf(record: BusRecord): Kind {
  const type = attribute(record, 'ce_type')
  const kind = type.slice(typePrefix.length)
  if (!type.startsWith(typePrefix) || !Object.hasOwn(kinds, kind)) {
    throw new BusError('UNKNOWN_TYPE', `${where(record)}: the type ${quote(type)} is not one of ours`)
  }
  return kind as Kind
}

function checkVersion(record: BusRecord, kind: Kind): void {
  const schema = attribute(record, 'ce_dataschema')
  const prefix = `${schemaPrefix}${kind}:`
  const version = schema.startsWith(prefix) ? /^(\d{1,6})\.\d{1,6}$/.exec(schema.slice(prefix.length)) : null
  if (version === null) invalid(record, 'ce_dataschema', `is not ${prefix}<major>.<minor>`)
  const known = kinds[kind].version.split('.')[0]
  if (version[1] !== known) {
    throw new BusError(
      'UNKNOWN_MAJOR',
      `${where(record)}: ${kind} version ${version[0]}, and only ${known}.x is read here; upgrade this reader`,
    )
  }
}

function instantOf(record: BusRecord): Instant {
  const text = attribute(record, 'ce_time')
  const time = dateTime.test(text) ? Date.parse(text) : Number.NaN
  if (!Instant.safeParse(time).success) invalid(record, 'ce_time', 'is not an RFC 3339 time since 1970')
  return time
}

function jsonOf(record: BusRecord): unknown {
  if (record.value === null) throw new BusError('INVALID_DATA', `${where(record)}: a tombstone has no event`)
  try {
    return JSON.parse(decoder.decode(record.value))
  } catch (error) {
    throw new BusError('MALFORMED_JSON', `${where(record)}: the value is not JSON in UTF-8`, { cause: error })
  }
}

function invalid(record: BusRecord, name: string, why: string): never {
  throw new BusError('INVALID_ATTRIBUTE', `${where(record)}: the header ${name} ${why}`)
}

function firstIssue(error: { issues: readonly { path: readonly PropertyKey[]; message: string }[] }): string {
  const issue = error.issues[0]
  const path = (issue?.path ?? []).map(String).join('.')
  const more = error.issues.length > 1 ? ` (and ${error.issues.length - 1} more)` : ''
  return quote(`${path === '' ? 'value' : path}: ${issue?.message ?? 'unreadable'}`) + more
}

function quote(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text)
}

function where(record: BusRecord): string {
  return `record ${record.topic}/${record.partition}@${record.offset}`
}
