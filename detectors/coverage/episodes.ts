import type { EventOf } from '../../schemas/index.ts'
import type { FindingDraft } from '../contract.ts'
import { stateGap } from './finding.ts'
import type { Parameters } from './parameters.ts'
import type { Episode, Sample, State } from './state.ts'

/**
 * Events that the node lost between two samples. The counter begins at 0 with each process; of a process that died,
 * what it lost after its last sample is not known, and neither is when the first one heard of began.
 */
export function countLoss(state: State, last: Sample | null, e: EventOf<'telemetry'>, restarted: boolean, p: Parameters): FindingDraft[] {
  const lost = e.data.dropped - (last === null || restarted ? 0 : last.dropped)
  if (lost <= 0) return endLoss(state)
  const exact = last !== null && (!restarted || last.closing)
  const begun: Episode = { opened: e.id, from: last?.at ?? e.time, until: e.time, amount: 0, samples: 0, exact: true, statedAt: 0 }
  const loss = grow(state.loss ?? begun, e, lost, exact)
  state.loss = loss
  return isDue(loss, p) ? [stateLoss(state, loss, true)] : []
}

/** Whether the node knows what it is to enforce; from when on it does not, the age of its knowledge tells. */
export function checkControl(state: State, e: EventOf<'telemetry'>, p: Parameters): FindingDraft[] {
  const { controlStaleMs, everyMs } = e.data
  const knownUntil = Math.max(0, e.time - Math.ceil(controlStaleMs))
  if (controlStaleMs <= Math.max(p.staleMs, p.missedSamples * everyMs)) {
    if (state.staleness !== null) state.staleness.until = Math.max(state.staleness.until, knownUntil)
    return endStaleness(state)
  }
  const begun: Episode = { opened: e.id, from: knownUntil, until: e.time, amount: 0, samples: 0, exact: true, statedAt: 0 }
  const staleness = grow(state.staleness ?? begun, e, 0, true)
  staleness.amount = Math.max(staleness.amount, Math.round(controlStaleMs))
  state.staleness = staleness
  return isDue(staleness, p) ? [stateStaleness(state, staleness, true)] : []
}

export function endLoss(state: State): FindingDraft[] {
  const { loss } = state
  state.loss = null
  return loss === null ? [] : [stateLoss(state, loss, false)]
}

export function endStaleness(state: State): FindingDraft[] {
  const { staleness } = state
  state.staleness = null
  return staleness === null ? [] : [stateStaleness(state, staleness, false)]
}

function grow(episode: Episode, e: EventOf<'telemetry'>, by: number, exact: boolean): Episode {
  episode.until = e.time
  episode.amount += by
  episode.samples += 1
  episode.exact &&= exact
  return episode
}

function isDue(episode: Episode, { restateMs }: Parameters): boolean {
  if (episode.samples > 1 && episode.until - episode.statedAt < restateMs) return false
  episode.statedAt = episode.until
  return true
}

function stateLoss(state: State, { opened, from, until, amount, exact }: Episode, open: boolean): FindingDraft {
  return stateGap(state, { kind: 'dropped', opened, from, until, open, count: amount, more: { exact } })
}

function stateStaleness(state: State, { opened, from, until, amount, samples }: Episode, open: boolean): FindingDraft {
  return stateGap(state, { kind: 'ungoverned', opened, from, until, open, count: samples, more: { staleMs: amount } })
}
