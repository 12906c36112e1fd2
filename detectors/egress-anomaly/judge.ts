import type { EventOf, Instant } from '../../schemas/index.ts'
import { pour } from '../statistics/leaky-sum.ts'
import { periodicity } from '../statistics/periodicity.ts'
import { flowCap, isOpen, twinOf } from './baseline.ts'
import type { Measured } from './evidence.ts'
import type { Parameters } from './parameters.ts'
import type { Destination, PortKind, State } from './state.ts'

/** Before there is a baseline: only what no serving workload does in its first minute. */
export function judgeGross(d: Destination, p: Parameters): Measured | null {
  const bytes = d.upload.value
  if (bytes < p.grossBytes || bytes / d.flows < p.grossBytes / 16) return null
  return { reason: 'gross', bytes, limit: p.grossBytes, beat: null }
}

/** How much went to one new destination within about an hour. */
export function judgeUpload(state: State, d: Destination, kind: PortKind, now: Instant, p: Parameters): Measured | null {
  const bytes = d.upload.value
  let limit = Math.max(p.minimumBytes, p.margin * state.novel.value, isOpen(kind, p) ? p.margin * kind.total.value : 0)
  if (bytes <= limit) return null
  const twin = twinOf(state, d, now)
  // The twin's peak is of its busiest `windowTauMs`; a steady stream fills `uploadTauMs`.
  if (twin !== null) limit = Math.max(limit, p.margin * Math.max(twin.peak.value * (p.uploadTauMs / p.windowTauMs), flowCap(twin)))
  return bytes > limit ? { reason: 'upload', bytes, limit, beat: null } : null
}

/** More than ordinary flows to a known destination carry, or more in ten minutes than in its busiest ten. */
export function judgeKnown(d: Destination, net: number, now: Instant, p: Parameters): Measured | null {
  const cap = flowCap(d)
  const excess = pour(d.excess, Math.max(0, net - cap), now, p.windowTauMs)
  const volume = Math.max(8 * p.minimumBytes, p.margin * cap)
  if (excess > volume) return { reason: 'volume', bytes: excess, limit: volume, beat: null }
  const rate = Math.max(64 * p.minimumBytes, p.rateMargin * d.peak.value)
  if (now - d.first >= p.settleMs && d.recent.value > rate) return { reason: 'rate', bytes: d.recent.value, limit: rate, beat: null }
  return null
}

/** Uploads cut into pieces, each to another new destination. */
export function judgeSpread(state: State, net: number, event: EventOf<'flow'>, now: Instant, p: Parameters): Measured | null {
  const idle = now - state.spread.at > p.quietMs
  if (idle) state.spreadAlarm = null
  if (idle || state.spreadOpened === null) {
    state.spreadOpened = event.id
    state.spreadFrom = now
    state.spreadFlows = 0
  }
  state.spreadFlows++
  const bytes = pour(state.spread, net, now, p.windowTauMs)
  const limit = Math.max(4 * p.minimumBytes, p.margin * state.spreadCeiling.value)
  return bytes > limit ? { reason: 'spread', bytes, limit, beat: null } : null
}

/**
 * A beat to a new destination. Had it been running before the baseline began, it would have been met within
 * about a period, so a timer is only suspicious when it appears later than that.
 */
export function judgeBeacon(state: State, d: Destination, kind: PortKind, now: Instant, p: Parameters): Measured | null {
  if (d.beats.length < p.beaconBeats || isOpen(kind, p)) return null
  const beat = periodicity(d.beats)
  if (beat === null || beat.score < p.beaconScore || beat.fit < 0.6 || beat.period > p.longestPeriodMs) return null
  // Merging bursts makes gaps of busy traffic look alike near the merging distance.
  if (beat.period < 4 * p.burstMs) return null
  if (d.first - state.since < 1.5 * beat.period || twinOf(state, d, now) !== null) return null
  return { reason: 'beacon', bytes: d.upload.value, limit: 0, beat }
}
