import { flowTo, type TimedFlow } from '../benign/egress-workload.ts'
import type { Random } from './random.ts'

/** One way of getting data out of a serving workload; its flows from `start` on, endless or until it is done. */
export interface EgressAttack {
  readonly name: string
  readonly flows: (from: { workload: string; pool: string }, random: Random, start: number) => Generator<TimedFlow>
}

const second = 1_000
const megabyte = 1e6
const somewhere = (random: Random) => `203.0.${random.below(256)}.${random.below(256)}`

interface Upload {
  /** Bytes in all, and in one flow (median). */
  readonly total: number
  readonly chunk: number
  /** Mean seconds between flows; exponential, so without a beat. */
  readonly every: number
  /** Destinations it is spread over, in turn; Infinity takes a new one each time. */
  readonly destinations: number
  readonly port?: number
}

/** Chunks of irregular size at irregular times. */
function upload(name: string, u: Upload): EgressAttack {
  return {
    name,
    flows: function* (from, random, start) {
      const to = Array.from({ length: Math.min(64, u.destinations) }, () => somewhere(random))
      let sent = 0
      for (let at = start; sent < u.total; at += -Math.log(1 - random.next()) * u.every * second) {
        const bytes = Math.min(u.total - sent, u.chunk * random.between(0.5, 1.5))
        const address = u.destinations === Number.POSITIVE_INFINITY ? somewhere(random) : random.pick(to)
        yield { at: Math.round(at), data: flowTo(from, { address, port: u.port ?? 443 }, bytes, 300 + bytes * 0.001) }
        sent += bytes
      }
    },
  }
}

export interface Beacon {
  readonly period: number
  /** Each gap is uniform within ± this share of the period. */
  readonly jitter: number
  readonly missed: number
}

export function beacon({ period, jitter, missed }: Beacon): EgressAttack {
  return {
    name: `beacon ${period} s, jitter ±${Math.round(100 * jitter)} %, missed ${Math.round(100 * missed)} %`,
    flows: function* (from, random, start) {
      const address = somewhere(random)
      for (let at = start; ; at += period * second * (1 + jitter * (2 * random.next() - 1))) {
        if (random.next() < missed) continue
        yield { at: Math.round(at), data: flowTo(from, { address, port: 443 }, random.between(170, 230), 300) }
      }
    },
  }
}

export const uploads: readonly EgressAttack[] = [
  upload('one flow of 200 MB', { total: 200 * megabyte, chunk: 400 * megabyte, every: 1, destinations: 1 }),
  upload('one flow of 5 MB', { total: 5 * megabyte, chunk: 10 * megabyte, every: 1, destinations: 1 }),
  upload('1 MB chunks every 2 s', { total: 200 * megabyte, chunk: megabyte, every: 2, destinations: 1 }),
  upload('drip 100 kB every 10 s', { total: 20 * megabyte, chunk: 1e5, every: 10, destinations: 1 }),
  upload('drip 20 kB every 10 s', { total: 20 * megabyte, chunk: 2e4, every: 10, destinations: 1 }),
  upload('drip 10 kB every 60 s', { total: 20 * megabyte, chunk: 1e4, every: 60, destinations: 1 }),
  upload('500 kB each to new destinations', { total: 100 * megabyte, chunk: 5e5, every: 5, destinations: Number.POSITIVE_INFINITY }),
  upload('100 kB over 64 destinations', { total: 100 * megabyte, chunk: 1e5, every: 2, destinations: 64 }),
  upload('50 MB to a client port', { total: 50 * megabyte, chunk: 100 * megabyte, every: 1, destinations: 1, port: 45_000 }),
]

/** A destination that the workload knows, used for an upload. */
export const throughKnown: EgressAttack = {
  name: '100 MB to a known destination',
  flows: function* (from, random, start) {
    for (let i = 0; i < 10; i++)
      yield {
        at: start + i * 5 * second,
        data: flowTo(from, { address: '10.0.0.1', port: 443, name: 'control.cluster.internal' }, megabyte * random.between(5, 15), 500),
      }
  },
}

export const beacons: readonly EgressAttack[] = [
  { period: 5, jitter: 0, missed: 0 },
  { period: 5, jitter: 0.2, missed: 0 },
  { period: 30, jitter: 0.1, missed: 0.1 },
  { period: 60, jitter: 0.2, missed: 0.1 },
  { period: 60, jitter: 0.3, missed: 0 },
  { period: 60, jitter: 0.4, missed: 0 },
  { period: 60, jitter: 0.4, missed: 0.1 },
].map(beacon)
