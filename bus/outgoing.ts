import { maxValueBytes } from './codec.ts'
import { BusError } from './errors.ts'
import type { OutgoingRecord } from './port.ts'

/** Largest key, and largest sum of header names and values, in UTF-16 units (at most three bytes each). */
const maxKeyLength = 1_024
const maxHeaderLength = 32_768
const maxHeaders = 64

/**
 * Refuses what one of the adapters could not store, so that both refuse the same.
 *
 * @throws BusError `TOO_LARGE` or `INVALID_RECORD`
 */
export function checkOutgoing(record: OutgoingRecord, compacted: boolean): void {
  const what = `publishing to ${record.topic}`
  if (record.value !== null && record.value.length > maxValueBytes) {
    throw new BusError('TOO_LARGE', `${what}: a value of ${record.value.length} bytes, at most ${maxValueBytes} fit`)
  }
  if (record.key !== null && record.key.length > maxKeyLength) {
    throw new BusError('TOO_LARGE', `${what}: a key of ${record.key.length} characters, at most ${maxKeyLength} fit`)
  }
  let length = 0
  let count = 0
  for (const name in record.headers) {
    if (!Object.hasOwn(record.headers, name)) continue
    length += name.length + (record.headers[name]?.length ?? 0)
    count++
  }
  if (length > maxHeaderLength || count > maxHeaders) {
    throw new BusError('TOO_LARGE', `${what}: ${count} headers of ${length} characters, at most ${maxHeaders} of ${maxHeaderLength} fit`)
  }
  // As the contract of an instant says, without the cost of parsing on the way of every record.
  if (!Number.isSafeInteger(record.timestamp) || record.timestamp < 0 || record.timestamp > 8.64e15) {
    throw new BusError('INVALID_RECORD', `${what}: the timestamp ${record.timestamp} is not whole milliseconds since 1970`)
  }
  if (compacted && record.key === null)
    throw new BusError('INVALID_RECORD', `${what}: a compacted topic keeps the newest record of each key, so give one`)
}
