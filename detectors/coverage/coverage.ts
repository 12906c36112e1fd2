import type { EventOf, Instant } from '../../schemas/index.ts'
import { defineDetector, type FindingDraft, type Step } from '../contract.ts'
import { checkControl, countLoss, endLoss, endStaleness } from './episodes.ts'
import { Parameters } from './parameters.ts'
import { hear, miss, overdueAt } from './silence.ts'
import { initialState, type Sample, State } from './state.ts'

const day = 24 * 60 * 60 * 1_000

/** Says of each node when it was not seen, what it lost, and when it could not be told what to enforce. */
export const coverage = defineDetector({
  id: 'coverage',
  version: 1,
  summary: 'Nodes that fall silent, lose events, or no longer read what they are to enforce: what was not seen there, with its bounds.',
  // Whoever wants to go unseen takes the node down; a finding of this detector itself names no threat.
  threats: ['AML.T0029'],
  observes: ['telemetry'],
  params: Parameters,
  state: State,
  maxKeys: 10_000,
  idleMs: 7 * day,
  scope: (o) => (o.kind === 'telemetry' ? o.data.node : null),
  start: (p) => ({
    initial: () => initialState(),
    onEvent: (state, o) => (o.kind === 'telemetry' ? onSample(state, o, p) : undefined),
    onTimer: (state, now) => onOverdue(state, now, p),
  }),
})

function onSample(state: State, e: EventOf<'telemetry'>, p: Parameters): Step<State> | undefined {
  const { last } = state
  // Counters of an older time say nothing new.
  if (last !== null && e.time <= last.at) return undefined
  state.node = e.data.node
  state.pool = e.data.pool
  const restarted = last !== null && isNewProcess(last, e)
  const findings: FindingDraft[] = last === null ? [] : hear(state, last, e.time, restarted, p)
  findings.push(...countLoss(state, last, e, restarted, p), ...checkControl(state, e, p))
  const { everyMs, closing, requests, emitted, dropped } = e.data
  state.last = { id: e.id, at: e.time, everyMs, closing, requests, emitted, dropped }
  return { state, findings, wakeAt: overdueAt(state.last, p) }
}

/** What was going on is only known up to the last sample. */
function onOverdue(state: State, now: Instant, p: Parameters): Step<State> | undefined {
  const { last } = state
  if (last === null) return undefined
  const step = miss(state, last, now, p)
  if (state.silence?.behind === true) return step
  return { state, ...step, findings: [...(step?.findings ?? []), ...endLoss(state), ...endStaleness(state)] }
}

/** Counters only grow in one process, and an orderly stop is its last word. */
function isNewProcess(last: Sample, { data }: EventOf<'telemetry'>): boolean {
  return last.closing || data.requests < last.requests || data.emitted < last.emitted || data.dropped < last.dropped
}
