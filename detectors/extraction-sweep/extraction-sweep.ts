import type { EventOf, Observation } from '../../schemas/index.ts'
import type { DetectorLogic, Step } from '../contract.ts'
import { defineDetector } from '../contract.ts'
import { bettor, wealth } from '../statistics/e-process.ts'
import { degreeOf, draft } from './finding.ts'
import { type Bettor, observe, tests, weigh } from './judge.ts'
import { forget } from './memory.ts'
import { Parameters } from './parameters.ts'
import { State } from './state.ts'

const day = 24 * 3_600_000
const labelPlaces = 64

/** Model extraction by one principal: queries that together are unlike the model's ordinary traffic. */
export const extractionSweep = defineDetector({
  id: 'extraction-sweep',
  version: 1,
  summary:
    "Bets, query by query, that a principal's inputs are not the model's ordinary traffic: outside its subspace, doubtful, far from their class, or systematic variations of the principal's own earlier inputs. Evidence survives padding with ordinary queries; exact repeats count for nothing.",
  threats: ['AML.T0024.002', 'AML.T0005.001', 'AML.T0013', 'AML.T0063'],
  observes: ['fingerprint'],
  params: Parameters,
  state: State,
  maxKeys: 20_000,
  idleMs: 30 * day,
  // A model's name may hold no slash, nor may a principal's: the key is unambiguous.
  scope: (o: Observation) => (o.kind === 'fingerprint' ? `${o.data.model}/${o.data.principal}` : null),
  topicKey: (scope) => scope.slice(0, scope.indexOf('/')),
  start: (p): DetectorLogic<State> => {
    const bets = bettor({ cap: p.cap, junk: p.junkShare, inflation: p.inflation })
    return {
      initial: () => initialState(),
      onEvent: (state, o) => (o.kind === 'fingerprint' ? onQuery(state, o, bets, p) : undefined),
    }
  },
})

function initialState(): State {
  return {
    queries: 0,
    fresh: 0,
    geometry: '',
    wealth: wealth(tests.length),
    sweep: wealth(1),
    recent: [],
    sample: [],
    seen: [],
    nextChain: 1,
    head: null,
    steps: 0,
    chains: 0,
    returns: 0,
    labels: [],
    odd: tests.map(() => 0),
    origin: null,
    rising: false,
    episode: null,
  }
}

function onQuery(state: State, event: EventOf<'fingerprint'>, bets: Bettor, p: Parameters): Step<State> | undefined {
  const { data } = event
  state.queries++
  const geometry = `${data.profile}/${data.epoch}`
  if (state.geometry !== geometry) {
    state.geometry = geometry
    forget(state)
  }
  const place = Math.min(data.output.label, labelPlaces - 1)
  while (state.labels.length <= place) state.labels.push(0)
  state.labels[place] = (state.labels[place] ?? 0) + 1
  // Where evidence is below what it began with, nothing of it speaks of what came before.
  if (state.origin === null || !state.rising) state.origin = { opened: event.id, from: event.time, degree: 0, firstQuery: state.queries }
  if (!observe(state, data, bets, p)) return undefined
  const now = weigh(state)
  state.rising = now.total >= 1 || now.sweep >= 1
  if (!state.rising) state.episode = null
  const degree = degreeOf(state, now, p)
  if (degree === 0 || degree <= (state.episode?.degree ?? 0)) return undefined
  state.episode = { ...(state.episode ?? state.origin), degree }
  return { state, findings: [draft(event, state, state.episode, now)] }
}
