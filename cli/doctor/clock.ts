import type { Instant } from '../../schemas/index.ts'
import { span } from '../output.ts'
import type { Check } from './check.ts'

/** What a server's clock said, against ours. */
export interface ClockReading {
  /** Server's minus ours, milliseconds. */
  readonly offsetMs: number
  /** How wrong that may be: half of the way there and back, and what the server's time was rounded by. */
  readonly errorMs: number
}

/** Every clock that was read, by whose it is. */
export type Clocks = Map<string, ClockReading>

const bearableMs = 2_000

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

/** Of all that was reached: run it when the others are done. */
export const clockCheck: Check = {
  id: 'clock',
  title: 'Clock',
  async run({ clocks }) {
    if (clocks.size === 0) return { status: 'ok', found: 'nothing was reached whose clock could be compared with ours' }
    const off = [...clocks].filter(([, reading]) => apart(reading) > bearableMs)
    if (off.length === 0) return { status: 'ok', found: `within 2 s of ${[...clocks.keys()].join(', ')}` }
    const told = off.map(([whose, { offsetMs }]) => `${whose} is ${span(Math.abs(offsetMs))} ${offsetMs > 0 ? 'ahead of' : 'behind'} us`)
    const ours = off.length === clocks.size && off.length > 1
    return {
      status: 'warn',
      found: told.join('; '),
      advice: `${ours ? 'all differ, so it is likely our clock' : 'one of the two is wrong'}: let NTP keep it (\`timedatectl\`, \`chronyc tracking\`); leases and tokens end by the clock`,
    }
  },
}
