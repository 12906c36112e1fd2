import type { Instant } from '../../schemas/index.ts'

/** What a server's clock said, against ours. */
export interface ClockReading {
  /** Server's minus ours, milliseconds. */
  readonly offsetMs: number
  /** How wrong that may be: half of the way there and back, and what the server's time was rounded by. */
  readonly errorMs: number
}

/** Every clock that was read, by whose it is. */
export type Clocks = Map<string, ClockReading>

/** Who reads clocks, and with which of his own. */
export interface ClockReader {
  /** What the servers' clocks said, for the check that comes last. */
  readonly clocks: Clocks
  readonly now: () => Instant
}

/**
 * Reads a `Date` header (RFC 9110, 6.6.1: whole seconds, cut off). Null where a cache may have kept the answer: its `Date` is
 * of when it was made.
 *
 * @param sent @param received by our clock
 */
export function readingOf(date: unknown, age: unknown, sent: Instant, received: Instant): ClockReading | null {
  if (typeof date !== 'string' || (age !== undefined && age !== '0')) return null
  const server = Date.parse(date)
  if (Number.isNaN(server)) return null
  return { offsetMs: server + 500 - (sent + received) / 2, errorMs: 500 + (received - sent) / 2 }
}

/** How far two clocks are apart at least. */
export function apart({ offsetMs, errorMs }: ClockReading): number {
  return Math.max(0, Math.abs(offsetMs) - errorMs)
}
