import type { IHeaders, Message } from 'kafkajs'
import type { BusRecord, OutgoingRecord } from '../port.ts'

/** A message as kafkajs decodes it, from a consumer or a fetch. */
export interface FetchedMessage {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly timestamp: string
  readonly offset: string
  readonly headers?: IHeaders
  readonly isControlRecord?: boolean
}

export function toMessage(record: OutgoingRecord, partition: number): Message {
  return {
    key: record.key,
    value: record.value === null ? null : Buffer.from(record.value.buffer, record.value.byteOffset, record.value.byteLength),
    partition,
    headers: record.headers as IHeaders,
    timestamp: String(record.timestamp),
  }
}

export function toRecord(topic: string, partition: number, message: FetchedMessage): BusRecord {
  return {
    topic,
    partition,
    offset: Number(message.offset),
    key: message.key === null ? null : message.key.toString('utf8'),
    value: message.value,
    headers: Object.fromEntries(Object.entries(message.headers ?? {}).map(([name, value]) => [name, headerText(value)])),
    timestamp: Number(message.timestamp),
  }
}

/**
 * Of a header that is repeated the last counts. kafkajs gathers repetitions in an array, and takes what every object
 * inherits (`constructor`, `__proto__`) for an earlier one.
 */
function headerText(value: IHeaders[string] | null): string {
  const last = Array.isArray(value) ? value.at(-1) : value
  // Null, too, which its types leave out: a header need not have a value.
  return last?.toString('utf8') ?? ''
}
