import type { EventOf, Observation } from '../../schemas/index.ts'
import type { DetectorLogic, Step } from '../contract.ts'
import { defineDetector } from '../contract.ts'
import { type Bettor, bettor, wealth } from '../statistics/e-process.ts'
import { renews } from '../statistics/renewal.ts'
import { degreeOf, draft, sweepDegree } from './finding.ts'
import { observe, tests, total, weigh } from './judge.ts'
import { Memory } from './memory.ts'
import { Parameters } from './parameters.ts'
import { State } from './state.ts'

const day = 24 * 3_600_000
const labelPlaces = 64
/** Evidence from which on much is remembered. */
const suspicion = 10

/** Model extraction by one principal: queries that together are unlike the model's ordinary traffic. */
export const extractionSweep = defineDetector({
  id: 'extraction-sweep',
  version: 3,
  stateVersion: 3,
  summary:
    "Bets, query by query, that a principal's inputs are not the model's ordinary traffic: outside its subspace, doubtful, far from their class, or systematic variations of the principal's own earlier inputs. Evidence survives padding with ordinary queries; exact repeats count for nothing.",
  threats: ['AML.T0024.002', 'AML.T0005.001', 'AML.T0013', 'AML.T0063'],
  observes: ['fingerprint'],
  params: Parameters,
  state: State,
  // Two to four kilobytes each, twelve while suspected: within a gigabyte.
  maxKeys: 250_000,
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
    memory: new Memory(),
    oddities: new Memory(),
    seen: [],
    nextChain: 1,
    head: null,
    chains: 0,
    lines: 0,
    lattices: 0,
    returns: 0,
    labels: [],
    odd: [0, 0, 0],
    novel: 0,
    steadiness: 'few',
    suspected: false,
    origin: null,
    rising: false,
    episode: null,
  }
}

function onQuery(state: State, event: EventOf<'fingerprint'>, bets: Bettor, p: Parameters): Step<State> | undefined {
  const { data } = event
  state.queries++
  if (!isOf(state.geometry, data.profile, data.epoch)) {
    state.geometry = `${data.profile}/${data.epoch}`
    state.memory.clear(0)
    state.oddities.clear(0)
    state.seen = []
    state.head = null
  }
  const place = Math.min(data.output.label, labelPlaces - 1)
  while (state.labels.length <= place) state.labels.push(0)
  state.labels[place] = (state.labels[place] ?? 0) + 1
  // Where evidence is below what it began with, nothing of it speaks of what came before.
  if (state.origin === null || !state.rising)
    state.origin = { opened: event.id, from: event.time, degree: 0, firstQuery: state.queries, stated: 0 }
  if (!observe(state, data, bets, p)) return undefined
  const evidence = total(state)
  state.suspected = evidence >= suspicion
  const sweeping = sweepDegree(state, p) > 0
  state.rising = evidence >= 1 || sweeping
  if (!state.rising) state.episode = null
  if (evidence < p.likely && !sweeping) return undefined
  const now = weigh(state)
  const degree = degreeOf(state, now, p)
  const before = state.episode ?? state.origin
  const goesOn = degree === before.degree && renews(before.stated, event.time)
  if (degree === 0 || (degree <= (state.episode?.degree ?? 0) && !goesOn)) return undefined
  state.episode = { ...before, degree, stated: event.time }
  return { state, findings: [draft(event, state, state.episode, now)] }
}

/** Without making a string for every event. */
function isOf(geometry: string, profile: string, epoch: number): boolean {
  return geometry.length > profile.length && geometry.startsWith(profile) && Number(geometry.slice(profile.length + 1)) === epoch
}
