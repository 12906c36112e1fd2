import { z } from 'zod'
import { defineDetector, type FindingDraft } from '../../detectors/contract.ts'
import type { Observation } from '../../schemas/index.ts'
import { detectorContract } from './detector.ts'
import { epoch, observation, random } from './observations.ts'

// Detectors that break their contract, each in one way. Run by misfits.test.ts, which expects them to fail.

const seen = z.object({ events: z.number(), last: z.string(), peak: z.number() })
type Seen = z.infer<typeof seen>

function requests(count: number, principal: (n: number) => string, items = 1): Observation[] {
  return Array.from({ length: count }, (_, n) => observation('request', n, epoch + n * 1_000, { principal: principal(n), items }))
}

const scenario = {
  params: {},
  benign: () => requests(50, (n) => `b${n % 7}`),
  attack: () => requests(50, () => 'eve', 99),
  firesWithin: 5,
  randomClients: (seed: number) => {
    const next = random(seed)
    return requests(300, () => `r${Math.floor(next() * 100)}`, 50)
  },
}

/** Fires at the fifth large request; `broken` bends one of its parts. */
function detector(id: string, broken: (state: Seen, o: Observation, count: number) => boolean, bound = 10, guard: z.ZodType<Seen> = seen) {
  let count = 0
  return defineDetector({
    id,
    version: 1,
    summary: 'A detector that breaks its contract in one way.',
    threats: ['AML.T0040'],
    observes: ['request'],
    params: z.object({}),
    state: guard,
    maxKeys: bound,
    idleMs: 1e9,
    scope: (o) => (o.kind === 'request' ? o.data.principal : null),
    start: () => ({
      initial: () => ({ events: 0, last: '', peak: 0 }),
      onEvent: (state, o) => {
        count += 1
        if (o.kind !== 'request') return undefined
        state.events += o.data.items > 90 ? 1 : 0
        state.last = o.id
        const fires = broken(state, o, count) || state.events >= 5
        return fires ? { state, findings: [draft(o)] } : { state }
      },
    }),
  })
}

function draft({ id, time }: Observation): FindingDraft {
  const nobody = { principals: [], organizations: [], model: null, workload: null, pool: null }
  return {
    opened: id,
    severity: 'low',
    confidence: 0.5,
    title: 'seen',
    ...nobody,
    window: { from: time, until: time },
    eventsSeen: 1,
    evidence: {},
  }
}

detectorContract(
  detector('sound', () => false),
  scenario,
)
detectorContract(
  detector('jumpy', (_, o) => o.id.endsWith('7')),
  scenario,
)
detectorContract(
  detector('late', (state) => {
    if (state.events < 9) state.peak = state.events
    state.events = Math.min(state.events, 4)
    return state.peak > 100
  }),
  scenario,
)
detectorContract(
  detector('impure', (_, __, count) => count > 60 && count % 3 === 0),
  scenario,
)
detectorContract(
  detector('forgetful', () => false, 10, seen.transform((state) => ({ ...state, events: 0 })) as unknown as z.ZodType<Seen>),
  scenario,
)
detectorContract(
  detector('unwritable', (state) => {
    state.peak = Number.POSITIVE_INFINITY
    return false
  }),
  scenario,
)
detectorContract(
  detector('fragile', (state, o) => {
    if (state.last === o.id && state.peak > o.time) throw new Error('time ran backwards')
    state.peak = Math.max(state.peak, o.time)
    if (state.peak > o.time + 3_600_000) throw new Error('too late')
    return false
  }),
  scenario,
)
detectorContract(
  detector('meddling', (_, o) => {
    if (o.kind === 'request') o.data.items = 0
    return false
  }),
  scenario,
)
