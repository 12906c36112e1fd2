import type { EventOf, Instant } from '../../schemas/index.ts'
import { raise } from '../statistics/ceiling.ts'
import { learn } from '../statistics/robust-scale.ts'
import type { Parameters } from './parameters.ts'
import type { Destination, PortKind, State } from './state.ts'

const hour = 3_600_000
/** Nats: sizes that differ by less than a twentieth are one size. */
const sizeFloor = 0.05

/** Bytes sent, less what the requests for the bytes received may have cost. */
export function netUpload(flow: EventOf<'flow'>['data'], p: Parameters): number {
  return Math.max(0, flow.bytesOut - p.downloadAllowance * flow.bytesIn)
}

/** Many destinations were met on this port: here, a new one is ordinary. */
export function isOpen(kind: PortKind, p: Parameters): boolean {
  return kind.open || kind.distinct >= p.openAt
}

/**
 * The part of a flow that counts as an upload to a new destination. Clients come and ask as they please: to a
 * client port only what an ordinary answer doesn't carry counts.
 */
export function uploadOf(name: string, kind: PortKind, net: number): number {
  return isClientPort(name) && kind.size.n >= 8 ? Math.max(0, net - flowCap(kind)) : net
}

/** At the end of warm-up: a client port on which every third flow went to yet another destination is open. */
export function settleOpenness(state: State): void {
  for (const name in state.kinds) {
    const kind = state.kinds[name]
    if (kind !== undefined && isClientPort(name)) kind.open = kind.distinct >= 6 && 3 * kind.distinct >= kind.size.n
  }
}

/** Counts a new destination of the port. After warm-up only client ports can open, by one an hour: nobody opens one in a day's work. */
export function countDestination(kind: PortKind, name: string, warm: boolean, now: Instant): void {
  if (warm && (!isClientPort(name) || now - kind.countedAt < hour)) return
  kind.distinct++
  kind.countedAt = now
}

/** The most that an ordinary flow carries, from the largest one and from location and scale. */
export function flowCap(of: Pick<Destination, 'size' | 'flowCeiling'>): number {
  return Math.max(2 * of.flowCeiling.value, of.size.n < 8 ? 0 : Math.expm1(of.size.location + 4 * of.size.scale))
}

/** Learns an ordinary flow. */
export function learnFlow(d: Destination, kind: PortKind, bytes: number, now: Instant, growth: number, p: Parameters): void {
  const size = Math.log1p(bytes)
  learn(d.size, size, sizeFloor)
  learn(kind.size, size, sizeFloor)
  raise(d.flowCeiling, bytes, now, growth, 0)
  raise(kind.flowCeiling, bytes, now, growth, p.minimumBytes)
  raise(d.peak, d.recent.value, now, now - d.first < p.settleMs ? Number.POSITIVE_INFINITY : growth, p.minimumBytes)
  if (d.known || growth === Number.POSITIVE_INFINITY) raise(kind.total, d.recent.value, now, growth, p.minimumBytes)
}

/** Learns how much a new destination was sent that gave no cause for a statement. */
export function settleNovel(state: State, d: Destination, now: Instant, p: Parameters): void {
  // A moved pod of a known service brings that service's amounts: no measure of what new destinations get.
  if (d.known || d.alarm !== null || twinOf(state, d, now) !== null) return
  raise(state.novel, d.upload.value, now, p.growthPerHour, p.minimumBytes)
}

export function isClientPort(kind: string): boolean {
  return kind.endsWith('/high')
}

/**
 * A known destination that this new one seems to replace or to join, as pods and addresses of one service do:
 * on the same port, with flows of the same size. Elsewhere than on client ports the known one must have fallen
 * silent when this one began, by its own rhythm, or an upload could hide behind a nightly backup.
 */
export function twinOf(state: State, d: Destination, now: Instant): Destination | null {
  for (const key in state.destinations) {
    const other = state.destinations[key]
    if (other === undefined || !other.known || other.kind !== d.kind || other.size.n < 8) continue
    const alike = Math.abs(other.size.location - d.size.location) < Math.max(0.7, 2 * other.size.scale)
    const rhythm = 2 * Math.exp(other.gap.location + other.gap.scale)
    const replaced = other.last < d.first + rhythm && now - other.last > rhythm
    if (alike && (replaced || isClientPort(d.kind))) return other
  }
  return null
}
