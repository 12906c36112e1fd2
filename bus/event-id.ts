import { randomFillSync } from 'node:crypto'
import { type EventId, type Instant, uuidv7 } from '../schemas/index.ts'

// One call for 409 ids: a call for each costs more than the rest of making an event.
const pool = new Uint8Array(4_090)
let used = pool.length

let lastTime = -1
let sequence = 0

/**
 * A UUIDv7 of `time`, ascending within a millisecond as long as this process made the ids (RFC 9562 §6.2, method 1:
 * the 12 bits after the time count up from a random start; after 2,048 in one millisecond only the time orders them).
 */
export function newEventId(time: Instant): EventId {
  if (used + 10 > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const random = pool.subarray(used, used + 10)
  used += 10
  // The start has its top bit clear, so that there is room to count.
  sequence = time === lastTime ? (sequence + 1) & 0xfff : (((random[0] ?? 0) & 0x07) << 8) | (random[1] ?? 0)
  lastTime = time
  random[0] = sequence >> 8
  random[1] = sequence & 0xff
  return uuidv7(time, random)
}
