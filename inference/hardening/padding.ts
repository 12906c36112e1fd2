import type { RawInference } from '../port.ts'

const blank = 0x20

/** JSON filled up with blanks to a multiple of so many bytes, which every reader of JSON leaves out (RFC 8259, section 2). */
export function padJson(body: Buffer, padTo: number): Buffer {
  return withBlanks(body, body.length, missing(body.length, padTo))
}

/** An answer of the Open Inference Protocol: where binary tensors follow the JSON, the blanks stand between, and count to the JSON. */
export function padInference(raw: RawInference, padTo: number): RawInference {
  const { body, jsonBytes } = raw
  const blanks = missing(body.length, padTo)
  if (blanks === 0) return raw
  const end = jsonBytes ?? body.length
  return { body: withBlanks(body, end, blanks), jsonBytes: jsonBytes === null ? null : jsonBytes + blanks }
}

/** Whole events of a stream, filled up by a comment, which every reader of events leaves out. */
export function padEvents(events: Buffer, padTo: number): Buffer {
  if (padTo <= 1 || events.length === 0) return events
  // A comment takes three bytes at least.
  const blanks = missing(events.length + 3, padTo)
  return Buffer.concat([events, Buffer.from(`:${' '.repeat(blanks)}\n\n`)])
}

function missing(length: number, padTo: number): number {
  return padTo <= 1 ? 0 : (padTo - (length % padTo)) % padTo
}

function withBlanks<T extends Uint8Array>(body: T, at: number, blanks: number): T | Buffer {
  if (blanks === 0) return body
  const padded = Buffer.allocUnsafe(body.length + blanks)
  padded.set(body.subarray(0, at))
  padded.fill(blank, at, at + blanks)
  padded.set(body.subarray(at), at + blanks)
  return padded
}
