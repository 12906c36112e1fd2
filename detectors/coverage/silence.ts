import type { Instant } from '../../schemas/index.ts'
import type { FindingDraft, Step } from '../contract.ts'
import { stateGap } from './finding.ts'
import type { Parameters } from './parameters.ts'
import type { Sample, Silence, State } from './state.ts'

/**
 * A sample that is newer than the last one. Silence ends with the first that could not have come sooner; samples of the
 * silent time itself say that it was a delay.
 *
 * @param restarted another process than that of the last sample wrote it
 */
export function hear(state: State, last: Sample, at: Instant, restarted: boolean, p: Parameters): FindingDraft[] {
  const findings: FindingDraft[] = []
  const hole = at >= overdueAt(last, p)
  // The last sample was in time again, or the next is missing: the delay went so far.
  if (state.silence !== null && state.silence.delayed > 0 && (hole || !state.silence.behind))
    findings.push(endDelay(state, state.silence, last))
  const { silence } = state
  if (hole) {
    if (!last.closing) findings.push(stateSilence(state, silence ?? silenceAfter(last), last, at, { restarted }))
    state.silence = null
  } else if (silence !== null) {
    silence.delayed += 1
    silence.behind = false
    if (silence.delayed === 1) findings.push(stateDelay(state, silence, at, true))
  } else if (restarted && !last.closing) {
    findings.push(stateGap(state, { kind: 'restarted', opened: last.id, from: last.at, until: at, open: false, count: 0 }))
  }
  return findings
}

/** The next sample is overdue at `now`. */
export function miss(state: State, last: Sample, now: Instant, p: Parameters): Step<State> | undefined {
  const { silence } = state
  const findings: FindingDraft[] = []
  if (silence !== null && silence.delayed === 0) {
    if (now < silence.from + p.goneMs) return { state, wakeAt: silence.from + p.goneMs }
    return { state, findings: [stateSilence(state, silence, last, now, { gone: true })] }
  }
  if (silence !== null) {
    // The host wakes at the time asked for or, where event time had passed that already, at once: then the sample was behind.
    if (!silence.behind && now > overdueAt(last, p)) {
      silence.behind = true
      return { state, wakeAt: now + overdueAt(last, p) - last.at }
    }
    findings.push(endDelay(state, silence, last))
  }
  if (last.closing) return { state, findings }
  state.silence = silenceAfter(last)
  findings.push(stateSilence(state, state.silence, last, now, { open: true }))
  return { state, findings, wakeAt: state.silence.from + p.goneMs }
}

/** The first instant at which its node is silent, if no sample follows. */
export function overdueAt({ at, everyMs }: Sample, { missedSamples }: Parameters): Instant {
  return at + missedSamples * everyMs + 1
}

function silenceAfter(last: Sample): Silence {
  return { opened: last.id, from: last.at, delayed: 0, behind: false }
}

function endDelay(state: State, silence: Silence, last: Sample): FindingDraft {
  state.silence = null
  return stateDelay(state, silence, last.at, false)
}

function stateDelay(state: State, { opened, from, delayed }: Silence, until: Instant, open: boolean): FindingDraft {
  return stateGap(state, { kind: 'delayed', opened, from, until, open, count: delayed })
}

/** Counted are the samples that should have come between its ends. */
function stateSilence(
  state: State,
  { opened, from }: Silence,
  { everyMs }: Sample,
  until: Instant,
  { open = false, restarted = false, gone = false },
): FindingDraft {
  const count = Math.max(1, Math.ceil((until - from) / everyMs) - 1)
  return stateGap(state, { kind: 'silent', opened, from, until, open, count, more: { everyMs, restarted, gone } })
}
