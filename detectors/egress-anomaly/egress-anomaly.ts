import type { EventOf, Instant, Observation } from '../../schemas/index.ts'
import type { DetectorLogic, FindingDraft, Step } from '../contract.ts'
import { defineDetector } from '../contract.ts'
import { raise } from '../statistics/ceiling.ts'
import { pour } from '../statistics/leaky-sum.ts'
import { learn } from '../statistics/robust-scale.ts'
import { countDestination, isOpen, learnFlow, netUpload, settleNovel, twinOf, uploadOf } from './baseline.ts'
import { admit, destinationKey, find, graduate, isExpected, kindOf, portKind, promote } from './destinations.ts'
import type { Measured } from './evidence.ts'
import { draft, severityOf } from './evidence.ts'
import { judgeBeacon, judgeGross, judgeKnown, judgeSpread, judgeUpload } from './judge.ts'
import { Parameters } from './parameters.ts'
import type { Alarm, Destination, PortKind } from './state.ts'
import { State } from './state.ts'

const day = 24 * 3_600_000
const unlimited = Number.POSITIVE_INFINITY

/** Uploads and beacons of serving workloads, against each workload's own baseline. */
export const egressAnomaly = defineDetector({
  id: 'egress-anomaly',
  version: 1,
  summary:
    'Learns where a serving workload sends how much, and states uploads to new destinations, uploads beyond what a known one ordinarily gets, uploads spread over many, and regular contact with a new destination.',
  threats: ['AML.T0024', 'AML.T0025'],
  observes: ['flow'],
  params: Parameters,
  state: State,
  maxKeys: 4_096,
  idleMs: 30 * day,
  scope: (o: Observation) => (o.kind === 'flow' ? o.data.workload : null),
  start: (p): DetectorLogic<State> => ({
    initial: (at) => initialState(at),
    onEvent: (state, o) => (o.kind === 'flow' ? onFlow(state, o, p) : undefined),
  }),
})

function initialState(at: Instant): State {
  const zero = { value: 0, at }
  return {
    since: at,
    flows: 0,
    warm: false,
    lastEvent: '',
    destinations: {},
    kinds: {},
    spread: { ...zero },
    spreadCeiling: { ...zero },
    spreadOpened: null,
    spreadFrom: at,
    spreadFlows: 0,
    spreadAlarm: null,
    novel: { ...zero },
  }
}

function onFlow(state: State, event: EventOf<'flow'>, p: Parameters): Step<State> | undefined {
  // The commonest duplicate is the one redelivered at once; the host drops the others it knows of.
  if (event.id === state.lastEvent) return undefined
  state.lastEvent = event.id
  state.flows++
  if (!state.warm && state.flows > p.warmupFlows && event.time - state.since >= p.warmupMs) graduate(state)
  const { d, kind, declared } = meet(state, event, p)
  // A late flow counts as of the last one: sums and gaps never run backwards.
  const now = Math.max(event.time, d.last)
  const net = observe(state, d, kind, event, now, p)
  const free = !state.warm || (declared && d.flows <= 10)
  const findings = judge(state, { d, kind, net, now, free, declared }, event, p)
  if (d.alarm === null) {
    learnFlow(d, kind, net, now, free ? unlimited : p.growthPerHour, p)
    adopt(state, d, kind, now, p)
  }
  return findings.length === 0 ? undefined : { state, findings }
}

interface Sighting {
  readonly d: Destination
  readonly kind: PortKind
  readonly net: number
  readonly now: Instant
  /** Learned without bounds: warm-up, or the first flows to a declared destination. */
  readonly free: boolean
  readonly declared: boolean
}

/** The record of the flow's destination; an episode that went quiet is closed first. */
function meet(state: State, event: EventOf<'flow'>, p: Parameters): { d: Destination; kind: PortKind; declared: boolean } {
  const key = destinationKey(event.data)
  const kind = portKind(state, kindOf(event.data), event.time)
  const declared = p.expected.length > 0 && isExpected(event.data, p.expected)
  const met = find(state, key)
  if (met === undefined) {
    countDestination(kind, kindOf(event.data), state.warm, event.time)
    return { d: admit(state, key, event, event.time, declared), kind, declared }
  }
  if (isOver(met, event.time, p)) close(state, met, event, p)
  return { d: met, kind, declared }
}

/** Silence ends an episode; one about amounts ends, too, when they were ordinary for that long. */
function isOver(d: Destination, now: Instant, p: Parameters): boolean {
  const quiet = now - d.last
  if (quiet > p.quietMs && quiet > 3 * Math.exp(d.gap.location)) return true
  return d.alarm !== null && !d.alarm.beacon && now - d.alarm.at > p.quietMs
}

/** A destination that was alarmed on starts over: what it was sent is no baseline, and adoption is a day away. */
function close(state: State, d: Destination, event: EventOf<'flow'>, p: Parameters): void {
  settleNovel(state, d, event.time, p)
  d.opened = event.id
  if (d.alarm === null) return
  d.alarm = null
  d.first = event.time
  d.beats = []
  for (const sum of [d.excess, d.upload, d.recent]) sum.value = 0
}

/** Counts the flow; returns the bytes that the tests are about. */
function observe(state: State, d: Destination, kind: PortKind, event: EventOf<'flow'>, now: Instant, p: Parameters): number {
  const net = netUpload(event.data, p)
  d.flows++
  if (d.flows > 1) learn(d.gap, Math.log(Math.max(1, now - d.last)), 0.05)
  d.last = now
  d.received += event.data.bytesIn
  pour(d.recent, net, now, p.windowTauMs)
  if (!d.known) {
    const last = d.beats.at(-1)
    if (last === undefined || now - last >= p.burstMs) d.beats.push(now)
    if (d.beats.length > 32) d.beats.shift()
    pour(d.upload, state.warm ? uploadOf(d.kind, kind, net) : net, now, p.uploadTauMs)
  }
  return net
}

function judge(state: State, s: Sighting, event: EventOf<'flow'>, p: Parameters): FindingDraft[] {
  const { d, kind, net, now } = s
  if (d.alarm !== null) d.alarm.flows++
  if (s.free) return s.declared ? [] : stateAbout(d, judgeGross(d, p), event, now, state)
  if (d.known) return stateAbout(d, judgeKnown(d, net, now, p), event, now, state)
  const findings = stateAbout(d, judgeUpload(state, d, kind, now, p), event, now, state)
  if (findings.length === 0 && d.alarm?.beacon !== true)
    findings.push(...stateAbout(d, judgeBeacon(state, d, kind, now, p), event, now, state))
  if (d.alarm === null) findings.push(...judgeTogether(state, s, event, p))
  return findings
}

/** States the episode of a destination for the first time, or again when it grew fourfold, more severe, or a beat was found. */
function stateAbout(d: Destination, m: Measured | null, event: EventOf<'flow'>, now: Instant, state: State): FindingDraft[] {
  if (m === null) return []
  const alarm: Alarm = d.alarm ?? { opened: d.opened, from: d.first, at: now, bytes: 0, severity: 0, beacon: false, flows: d.flows }
  const stated = restate(alarm, m)
  alarm.at = now
  d.alarm = alarm
  return stated ? [draft(event, alarm, m, now - state.since)] : []
}

function judgeTogether(state: State, { d, kind, net, now }: Sighting, event: EventOf<'flow'>, p: Parameters): FindingDraft[] {
  const counted = uploadOf(d.kind, kind, net)
  if (counted === 0 || twinOf(state, d, now) !== null) return []
  const m = judgeSpread(state, counted, event, now, p)
  if (m === null) {
    if (state.spreadAlarm === null) raise(state.spreadCeiling, state.spread.value, now, p.growthPerHour, p.minimumBytes)
    return []
  }
  state.spreadAlarm ??= {
    opened: state.spreadOpened ?? event.id,
    from: state.spreadFrom,
    at: now,
    bytes: 0,
    severity: 0,
    beacon: false,
    flows: 0,
  }
  state.spreadAlarm.flows = state.spreadFlows
  return restate(state.spreadAlarm, m) ? [draft(event, state.spreadAlarm, m, now - state.since)] : []
}

/** Whether there is something new to say; remembers that it was said. */
function restate(alarm: Alarm, m: Measured): boolean {
  const severity = Math.max(alarm.severity, severityOf(m))
  const beat = m.beat !== null && !alarm.beacon
  if (severity === alarm.severity && !beat && (m.beat !== null || m.bytes < 4 * alarm.bytes)) return false
  alarm.severity = severity
  alarm.beacon ||= beat
  alarm.bytes = Math.max(alarm.bytes, m.bytes)
  return true
}

/** After a day without a statement a new destination is a known one; clients of an open port come and go. */
function adopt(state: State, d: Destination, kind: PortKind, now: Instant, p: Parameters): void {
  if (d.known || !state.warm || isOpen(kind, p) || d.flows < 8 || now - d.first < p.adoptMs) return
  settleNovel(state, d, now, p)
  promote(state, d)
}
