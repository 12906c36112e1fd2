import type { EventOf } from '../../schemas/index.ts'
import { type Bettor, bet, combined, evidence } from '../statistics/e-process.ts'
import { capacity, coordinatesOf, hashOf, type Memory, type Nearest } from './memory.ts'
import { sharesOrigin } from './origin.ts'
import type { Parameters } from './parameters.ts'
import { lowerQuartile, nearestRecent } from './recent.ts'
import type { State } from './state.ts'
import { type Steadiness, steadinessOf } from './steadiness.ts'
import { follow } from './sweeps.ts'

/** What is bet on. The first four say how unlike the model's ordinary traffic a query is, the last that it varies an old query. */
export const tests = ['residual', 'confidence', 'class', 'joint', 'return'] as const
/** What of the stake is on each; the joint test is the strongest against everything but padding. */
export const weights: readonly number[] = [0.25, 0.1, 0.1, 0.4, 0.15]

/** The three tails depend on each other; with this scale their combination is uniform or larger on held-out digits. */
const jointScale = 0.7
/** A residual this rare among ordinary inputs is far outside. */
const farTail = 1e-3
/** Tail below which a query is odd: one ordinary query in forty is. */
const oddTail = 0.01
/** Recent queries before a quartile of them means something. */
const fewest = 4
/** An input counts for one return: a health check with noise comes back for ever. */
const mostReturns = 1
/** What an ordinary query takes from the count of unexplained odd ones; twice as many are odd in ordinary traffic. */
const forgiven = 0.03
/** What a variation takes from it: who varies inputs has a tool. Little, so that jittered copies do not hide a thief. */
const forgivenByVariation = 0.3
const forgivenByOrigin = 0.5
/** An account is young for this many distinct queries. */
const youth = 400
const mostHashes = 24
const ps = [1, 1, 1, 1, 1]

/**
 * Chance that an ordinary query is this near, relative to its nearest reference input, to one of the principal's own: against
 * as many references as the node keeps of a class, and a power law below, as nearest distances have.
 *
 * @param ratio distance to the nearest own query with the same answer, over that to the nearest reference input
 * @param among own queries with the same answer that are remembered
 * @param references reference inputs of a class
 */
export function selfTail(ratio: number, among: number, references: number): number {
  const own = selfFactor * among * Math.max(ratio, 1e-2) ** selfExponent
  return own / (own + references)
}
/** Fitted above what held-out digits do, since projected distances are noisy and the least of them is taken. */
const selfFactor = 8
const selfExponent = 6

/** Takes one query into account; false when it tells nothing new. */
export function observe(state: State, data: EventOf<'fingerprint'>['data'], bettor: Bettor, p: Parameters): boolean {
  const { memory } = state
  const hash = hashOf(data)
  if (state.seen.includes(hash) || memory.has(hash)) return false
  state.seen.push(hash)
  if (state.seen.length > mostHashes) state.seen.shift()
  const values = coordinatesOf(data)
  if (memory.width !== values.length) memory.clear(values.length)
  tails(data)
  const reference = Math.max(data.referenceDistance, 1e-9)
  const near = nearestRecent(memory, values)
  const reach = (data.residualTail < farTail ? p.farChainRatio : p.chainRatio) * reference
  const odd = (ps[0] as number) <= oddTail || (ps[3] as number) <= oddTail
  const chained = near.row >= 0 && (near.distance < reach || follows(memory, values, near, p) || (odd && sharesOrigin(memory, values)))
  const chain = chained ? memory.read(near.row, 'chain') : state.nextChain++ % 2 ** 24
  const counted = !chained || wandered(state, chain, values, reach, p)
  let returns = 0
  if (chained) {
    returns = vary(state, near.row, values)
    state.novel = Math.max(0, state.novel - (near.distance < reach ? forgivenByVariation : forgivenByOrigin))
  }
  if (counted) {
    if (!chained) ps[4] = back(state, values, data.output.label, reference, p)
    for (let i = 0; i < 3; i++) if ((ps[i] as number) <= oddTail) state.odd[i] = (state.odd[i] ?? 0) + 1
    state.fresh++
  }
  const sampled = state.fresh < youth || state.suspected ? capacity.sample : capacity.calmSample
  const [strangeness, classDoubt] = [-Math.log10(ps[0] as number), -Math.log10(ps[2] as number)]
  const query = { hash, label: data.output.label, chain, returns, strangeness, classDoubt }
  memory.remember(query, values, sampled)
  if (odd && !chained) state.oddities.remember(query, values, 0)
  if (counted) stake(state, odd ? steadinessOf(state.oddities, memory) : null, bettor)
  return counted || returns > 0
}

/** Bets, unless the query varies what was weighed already, and counts odd ones that nothing explains. */
function stake(state: State, steadiness: Steadiness | null, bettor: Bettor): void {
  if (steadiness === null) state.novel = Math.max(0, state.novel - forgiven)
  else if (steadiness === 'none' || steadiness === 'few') state.novel = Math.min(state.novel + 1, 20)
  else state.novel = Math.max(0, state.novel - 1)
  if (steadiness !== null) state.steadiness = steadiness
  bet(state.wealth, ps, bettor)
}

function tails({ residualTail, confidenceTail, classTail }: EventOf<'fingerprint'>['data']): void {
  ps[0] = Math.max(residualTail, 1e-12)
  ps[1] = Math.max(confidenceTail, 1e-12)
  ps[2] = Math.max(classTail, 1e-12)
  ps[3] = combined(ps[0], ps[1], ps[2], jointScale)
  ps[4] = 1
}

/** The chance of coming this near to one of the older queries by accident. */
function back(state: State, values: Float32Array, label: number, reference: number, p: Parameters): number {
  // Far outside everything is near to everything else, against the distance to the reference.
  if ((ps[0] as number) < farTail) return 1
  const { memory } = state
  const older = memory.nearestOlder(values, label)
  if (older.row < 0 || older.distance >= p.returnRatio * reference) return 1
  state.returns++
  return memory.comeBack(older.row) < mostReturns ? selfTail(older.distance / reference, older.among, p.references) : 1
}

/**
 * Much nearer to the last query than to those before it: a frame of a moving scene, however far from ordinary. Among
 * independent queries of one kind the last is no nearer than others, and with ordinary ones between it is not the nearest.
 */
function follows(memory: Memory, values: Float32Array, { row, distance }: Nearest, p: Parameters): boolean {
  return memory.recent >= fewest && row === memory.last(1) && distance < p.serialRatio * lowerQuartile(memory, values)
}

/** Many steps on, and no longer near where the chain began: nobody walks unseen through all inputs in small steps. */
function wandered(state: State, chain: number, values: Float32Array, reach: number, p: Parameters): boolean {
  const { head } = state
  if (head === null || head.chain !== chain || ++head.steps < p.chainLength) return false
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += ((values[i] as number) - (head.values[i] ?? 0)) ** 2
  if (sum <= reach * reach) return false
  state.head = null
  return true
}

/** One more variation of what was asked before; counts an input when it is varied first. */
function vary(state: State, row: number, values: Float32Array): number {
  const { memory } = state
  const chain = memory.read(row, 'chain')
  if (memory.read(row, 'returns') === 0) state.chains++
  memory.comeBack(row)
  follow(state, chain, row, values)
  return 1
}

export interface Evidence {
  /** E-values: out of the ordinary, all tests and one by one. */
  readonly total: number
  readonly byTest: readonly number[]
}

/** The weighted mean of the tests' evidence. */
export function total(state: State): number {
  let sum = 0
  for (let test = 0; test < tests.length; test++) sum += (weights[test] as number) * evidence(state.wealth, test)
  return sum
}

export function weigh(state: State): Evidence {
  return { total: total(state), byTest: tests.map((_, stream) => evidence(state.wealth, stream)) }
}
