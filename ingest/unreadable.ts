import { createHash } from 'node:crypto'
import { encode, newEvent } from '../bus/codec.ts'
import { deadLetterOf } from '../bus/dead-letter.ts'
import type { BusRecord, OutgoingRecord } from '../bus/port.ts'
import { type EventId, type Instant, uuidv7 } from '../schemas/index.ts'

/**
 * The dead letter of a record of the bus. Its id follows from where the record stands and who gave it up, so a record
 * that is delivered again after a crash is dead-lettered again under the same id, and stored once.
 */
export function letterOf(record: BusRecord, error: unknown, now: Instant, source: string): OutgoingRecord {
  const id = idFor(`${source}\n${record.topic}\n${record.partition}\n${record.offset}`, record.timestamp)
  return encode('dead-letters', newEvent('dead-letter', deadLetterOf(record, error, now), source, now, id))
}

/** A UUIDv7-shaped id of the same name and time, always the same. */
export function idFor(name: string, at: Instant): EventId {
  // 48 bits of milliseconds: what an outsider's clock says beyond them is cut.
  return uuidv7(Math.min(at, 2 ** 48 - 1), createHash('sha256').update(name).digest())
}
