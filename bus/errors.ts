import { CordonError } from '../schemas/index.ts'

export type BusErrorCode =
  // A record that cannot be read as an event: dead-letter it and go on.
  | 'MISSING_ATTRIBUTE'
  | 'INVALID_ATTRIBUTE'
  | 'UNKNOWN_TYPE'
  | 'UNKNOWN_MAJOR'
  | 'MALFORMED_JSON'
  | 'INVALID_DATA'
  | 'TOO_LARGE'
  // A record of a writer that was replaced before it wrote: it does not count.
  | 'FENCED'
  // A call that cannot be right however often it is repeated.
  | 'INVALID_RECORD'
  | 'UNKNOWN_TOPIC'
  | 'UNKNOWN_PARTITION'
  | 'TOPIC_MISMATCH'
  // A state of the bus: repeat later, or elsewhere.
  | 'BUS_LOCKED'
  | 'BUS_CLOSED'
  | 'BUS_FULL'
  | 'BUS_UNAVAILABLE'
  | 'PARTITION_LOST'
  // The brokers refuse this credential, or what it asks for; or one of the two does not trust the other's certificate.
  | 'BUS_FORBIDDEN'
  | 'BUS_UNTRUSTED'
  // What is on disk is not what was written.
  | 'CORRUPT_LOG'
  | 'VIEW_FULL'

/** Every failure of the bus; branch on `code`. */
export class BusError extends CordonError<BusErrorCode> {
  constructor(code: BusErrorCode, message: string, options?: { cause?: unknown }) {
    super(code, message, options)
    this.name = 'BusError'
  }
}
