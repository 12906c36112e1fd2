import { z } from 'zod'
import { type DetectorDefinition, defineDetector, type FindingDraft } from '../../detectors/contract.ts'
import { listed } from '../../detectors/registry.ts'
import type { HostedDetector } from '../../pipeline/host/hosted.ts'
import type { Instant } from '../../schemas/index.ts'

function draft(part: Pick<FindingDraft, 'opened' | 'title' | 'window' | 'eventsSeen'> & Partial<FindingDraft>): FindingDraft {
  return {
    severity: 'medium',
    confidence: 0.75,
    principals: [],
    organizations: [],
    model: null,
    workload: null,
    pool: null,
    evidence: {},
    ...part,
  }
}

const Burst = z.object({ opened: z.string(), from: z.int(), last: z.int(), seen: z.int() })

/**
 * States `limit` and more requests of one principal without a pause of `quietMs`, revises it with each further one,
 * and says that it ended when the pause came.
 */
export const burst = defineDetector({
  id: 'burst',
  version: 1,
  summary: 'Many requests without a pause.',
  threats: ['AML.T0040'],
  observes: ['request'],
  params: z.object({ limit: z.int().default(3), quietMs: z.int().default(5_000) }),
  state: Burst,
  maxKeys: 4,
  idleMs: 60_000,
  scope: (o) => (o.kind === 'request' ? o.data.principal : null),
  start: ({ limit, quietMs }) => ({
    initial: (at) => ({ opened: '', from: at, last: at, seen: 0 }),
    onEvent: (state, o) => {
      if (state.seen === 0) state.opened = o.id
      state.seen += 1
      state.last = Math.max(state.last, o.time)
      const wakeAt = state.last + quietMs
      if (state.seen < limit) return { state, wakeAt }
      const { opened, from, last, seen } = state
      return { state, wakeAt, findings: [draft({ opened, title: `burst of ${seen}`, window: { from, until: last }, eventsSeen: seen })] }
    },
    onTimer: (state, now) => {
      const { opened, from, seen } = state
      if (seen < limit) return { state: null }
      return { state: null, findings: [draft({ opened, title: 'burst over', window: { from, until: now }, eventsSeen: seen })] }
    },
  }),
})

/** Wakes every `everyMs` while its key lives, and says so: shows the order and the instants of firing. */
export const metronome = defineDetector({
  id: 'metronome',
  version: 1,
  summary: 'Beats.',
  threats: [],
  observes: ['request', 'flow'],
  params: z.object({ everyMs: z.int().default(1_000) }),
  state: z.object({ opened: z.string(), from: z.int(), beats: z.int() }),
  maxKeys: 100,
  idleMs: 10_000,
  scope: (o) => (o.kind === 'request' ? o.data.model : o.kind === 'flow' ? o.data.workload : null),
  start: ({ everyMs }) => ({
    initial: (at) => ({ opened: '', from: at, beats: -1 }),
    onEvent: (state, o) => {
      if (state.beats >= 0) return undefined
      state.beats = 0
      state.opened = o.id
      return { state, wakeAt: o.time + everyMs }
    },
    onTimer: (state, now) => {
      state.beats += 1
      const { opened, from, beats } = state
      const findings = [draft({ opened, title: `beat ${beats}`, window: { from, until: now }, eventsSeen: 1 })]
      return { state, wakeAt: now + everyMs, findings }
    },
  }),
})

/** Fails on demand: on requests with `items` 13 by throwing, 14 with a confidence of 2, 15 with a wake time of NaN. */
export const brittle = defineDetector({
  id: 'brittle',
  version: 1,
  summary: 'Breaks.',
  threats: [],
  observes: ['request'],
  params: z.object({}),
  state: z.object({ seen: z.int() }),
  maxKeys: 10,
  idleMs: 60_000,
  scope: (o) => (o.kind === 'request' ? o.data.principal : null),
  start: () => ({
    initial: () => ({ seen: 0 }),
    onEvent: (state, o) => {
      if (o.kind !== 'request') return undefined
      state.seen += 1
      if (o.data.items === 13) throw new Error('unlucky')
      if (o.data.items === 15) return { state, wakeAt: Number.NaN }
      const confidence = o.data.items === 14 ? 2 : 0.5
      const window = { from: o.time, until: o.time }
      return { state, findings: [draft({ opened: o.id, title: `seen ${state.seen}`, window, eventsSeen: state.seen, confidence })] }
    },
  }),
})

/** Repeats itself word for word. */
export const parrot = defineDetector({
  id: 'parrot',
  version: 1,
  summary: 'Says the same again.',
  threats: [],
  observes: ['request'],
  params: z.object({}),
  state: z.object({ opened: z.string(), at: z.int() }),
  maxKeys: 10,
  idleMs: 60_000,
  scope: (o) => (o.kind === 'request' ? o.data.principal : null),
  start: () => ({
    initial: (at: Instant) => ({ opened: '', at }),
    onEvent: (state, o) => {
      if (state.opened === '') state.opened = o.id
      const window = { from: state.at, until: state.at }
      return { state, findings: [draft({ opened: state.opened, title: 'polly', window, eventsSeen: 1 })] }
    },
  }),
})

export function hosted<P extends z.ZodType, S extends z.ZodType>(
  definition: DetectorDefinition<P, S>,
  params: z.input<P> | Record<string, never> = {},
): HostedDetector {
  return { definition: listed(definition), params }
}

/** States every flow of a workload whose name begins with `probe`. */
export const herald = defineDetector({
  id: 'herald',
  version: 1,
  summary: 'Says that something came.',
  threats: [],
  observes: ['flow'],
  params: z.object({}),
  state: z.object({ seen: z.int() }),
  maxKeys: 1_000,
  idleMs: 3_600_000,
  scope: (o) => (o.kind === 'flow' && o.data.workload.startsWith('probe') ? o.data.workload : null),
  start: () => ({
    initial: () => ({ seen: 0 }),
    onEvent: (state, o) => {
      state.seen += 1
      const window = { from: o.time, until: o.time }
      return { state, findings: [draft({ opened: o.id, title: `flow ${state.seen}`, window, eventsSeen: state.seen })] }
    },
  }),
})
