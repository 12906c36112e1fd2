import type { EventOf, Observation } from '../../schemas/index.ts'
import type { DetectorLogic, Step } from '../contract.ts'
import { defineDetector } from '../contract.ts'
import { compositionOf, fidelityOf, neededFor } from './estimate.ts'
import { type Budget, draft } from './finding.ts'
import { Parameters } from './parameters.ts'
import { gain } from './rate.ts'
import { State } from './state.ts'
import { add, blank } from './summary.ts'

const day = 24 * 3_600_000

/** What the answers so far would let a thief reproduce, however ordinary each query was. */
export const modelLeakage = defineDetector({
  id: 'model-leakage',
  version: 1,
  summary:
    'Estimates what share of a model its answers to one principal would let a thief reproduce, and states when a budget of it is half spent and spent, though every query looks ordinary. Exact repeats count for nothing. It only informs, unless an operator sets a budget that is enforced.',
  threats: ['AML.T0024.002', 'AML.T0005.001'],
  observes: ['fingerprint'],
  params: Parameters,
  state: State,
  // Some 700 bytes each: 0.7 GB if a million principals asked within a month.
  maxKeys: 1_000_000,
  idleMs: 30 * day,
  // By version, in the key: a new version starts anew, and alternating between two of them wipes nothing. No name may hold a slash.
  scope: (o: Observation) => (o.kind === 'fingerprint' ? `${o.data.model}/${o.data.principal}/${o.data.version}` : null),
  topicKey: (scope) => scope.slice(0, scope.indexOf('/')),
  start: (p): DetectorLogic<State> => {
    const exempt = new Set(p.exempt)
    const general: Budget = { fidelity: p.budget, enforce: p.enforce, offset: 0, classes: 0 }
    const byModel = new Map(
      Object.entries(p.models).map(([model, { budget, ...rest }]): [string, Budget] => [model, { fidelity: budget, ...rest }]),
    )
    return {
      initial: (at) => ({ summary: blank(), from: at, distinct: 0, fidelity: 0, gained: 0, gainedMs: 0, episode: null }),
      onEvent: (state, o) => {
        // What was refused taught nothing.
        if (o.kind !== 'fingerprint' || !o.data.answered) return undefined
        const news = add(state.summary, o.data)
        if (state.summary.answers < p.leastDistinct || exempt.has(o.data.principal)) return undefined
        const budget = byModel.get(o.data.model) ?? general
        return news || lapses(state, o, budget, p) ? judged(state, o, budget, p) : undefined
      },
    }
  },
})

function lapses({ episode }: State, { time }: EventOf<'fingerprint'>, { enforce }: Budget, { renewMs }: Parameters): boolean {
  return enforce && episode?.degree === 2 && time - episode.stated >= renewMs
}

function judged(state: State, event: EventOf<'fingerprint'>, budget: Budget, p: Parameters): Step<State> | undefined {
  const composition = compositionOf(state.summary, budget.classes)
  gain(state, event.time, Math.max(0, composition.distinct - state.distinct), p.halfLifeMs)
  state.distinct = Math.max(state.distinct, composition.distinct)
  state.fidelity = Math.max(state.fidelity, fidelityOf(composition, budget.offset))
  if (composition.distinct < p.leastDistinct) return undefined
  const degree =
    state.fidelity >= budget.fidelity ? 2 : composition.distinct >= 0.5 * neededFor(budget.fidelity, composition, budget.offset) ? 1 : 0
  const before = state.episode?.degree ?? 0
  if (degree === 0 || (degree <= before && !lapses(state, event, budget, p))) return undefined
  state.episode = { opened: state.episode?.opened ?? event.id, degree: Math.max(degree, before) as 1 | 2, stated: event.time }
  return { state, findings: [draft(event, state, state.episode, budget, p)] }
}
