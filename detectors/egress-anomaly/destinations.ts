import type { EventOf, Instant } from '../../schemas/index.ts'
import { robustScale } from '../statistics/robust-scale.ts'
import { isClientPort, settleOpenness } from './baseline.ts'
import type { Destination, PortKind, State } from './state.ts'

/** Destinations kept for a workload, by sort; the least telling of a sort goes first, so a crowd of clients displaces only clients. */
export const capacity = { known: 48, new: 64, clients: 32, kinds: 16 } as const

/** Ports from here on are handed out to clients by the usual kernels. */
const firstClientPort = 32_768

/** The name where the sensor saw one: addresses of a service change. Always holds a slash, so never `__proto__`. */
export function destinationKey(flow: EventOf<'flow'>['data']): string {
  return `${kindOf(flow)}/${flow.destination.name ?? flow.destination.address}`
}

export function kindOf(flow: EventOf<'flow'>['data']): string {
  return `${flow.protocol}/${flow.destination.port < firstClientPort ? flow.destination.port : 'high'}`
}

/** Declared as ordinary by address, name or suffix. */
export function isExpected(flow: EventOf<'flow'>['data'], expected: readonly string[]): boolean {
  const { name, address } = flow.destination
  return expected.some((e) => e === name || e === address || (e.startsWith('.') && name?.endsWith(e) === true))
}

export function find(state: State, key: string): Destination | undefined {
  return state.destinations[key]
}

/** A new record, after making room for it. */
export function admit(state: State, key: string, event: EventOf<'flow'>, now: Instant, known: boolean): Destination {
  const kind = kindOf(event.data)
  makeRoom(state, known, kind)
  const d: Destination = {
    kind,
    opened: event.id,
    first: now,
    last: now,
    flows: 0,
    known,
    size: robustScale(1),
    gap: robustScale(1),
    flowCeiling: { value: 0, at: now },
    peak: { value: 0, at: now },
    recent: { value: 0, at: now },
    excess: { value: 0, at: now },
    upload: { value: 0, at: now },
    received: 0,
    beats: [],
    alarm: null,
  }
  state.destinations[key] = d
  return d
}

function sortOf(known: boolean, kind: string): 'known' | 'new' | 'clients' {
  if (known) return 'known'
  return isClientPort(kind) ? 'clients' : 'new'
}

/**
 * Evicts one record of the same sort when the sort is full: among known ones the least recently used, among new
 * ones the one with the fewest beats and bytes, so that a crowd of single contacts cannot flush a beacon out.
 */
function makeRoom(state: State, known: boolean, kind: string): void {
  const sort = sortOf(known, kind)
  let count = 0
  let victim: string | null = null
  let least = Number.POSITIVE_INFINITY
  for (const key in state.destinations) {
    const d = state.destinations[key]
    if (d === undefined || sortOf(d.known, d.kind) !== sort) continue
    count++
    const worth = known ? d.last : (d.alarm === null ? 0 : 1e9) + d.beats.length * 1e4 + Math.log1p(d.upload.value) * 1e2
    if (worth < least) {
      least = worth
      victim = key
    }
  }
  if (count >= capacity[sort] && victim !== null) delete state.destinations[victim]
}

/** A new destination joins the baseline, in place of the known one that was used least recently. */
export function promote(state: State, d: Destination): void {
  makeRoom(state, true, d.kind)
  d.known = true
  d.beats = []
}

/** The record of a port; beyond the bound all further ports share one. */
export function portKind(state: State, kind: string, now: Instant): PortKind {
  const existing = state.kinds[kind]
  if (existing !== undefined) return existing
  const name = Object.keys(state.kinds).length < capacity.kinds - 1 ? kind : 'other'
  const shared = state.kinds[name]
  if (shared !== undefined) return shared
  const fresh: PortKind = {
    distinct: 0,
    open: false,
    countedAt: now,
    size: robustScale(1),
    flowCeiling: { value: 0, at: now },
    total: { value: 0, at: now },
  }
  state.kinds[name] = fresh
  return fresh
}

/** Everything met during warm-up becomes the baseline, but for clients of an open port: those come and go. */
export function graduate(state: State): void {
  state.warm = true
  settleOpenness(state)
  for (const key in state.destinations) {
    const d = state.destinations[key]
    if (d !== undefined && d.alarm === null && state.kinds[d.kind]?.open !== true) promote(state, d)
  }
}
