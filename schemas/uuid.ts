import type { EventId, Instant } from './primitives.ts'

/** Each byte in two digits: writing each anew takes longer than the rest. */
const digits = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/**
 * UUIDv7 (RFC 9562 §5.7): 48 bits of Unix milliseconds, then version, variant and random bits.
 *
 * @param at milliseconds since the epoch
 * @param random at least 10 random bytes, from the caller, so that the pure rooms stay pure
 */
export function uuidv7(at: Instant, random: Uint8Array): EventId {
  const bytes = new Uint8Array(16)
  for (let i = 5, rest = at; i >= 0; i--, rest = Math.floor(rest / 256)) bytes[i] = rest % 256
  bytes.set(random.subarray(0, 10), 6)
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x70
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  let hex = ''
  for (let i = 0; i < 16; i++) hex += digits[bytes[i] ?? 0]
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** The milliseconds that a UUIDv7 carries. */
export function timeOf(id: EventId): Instant {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
}
