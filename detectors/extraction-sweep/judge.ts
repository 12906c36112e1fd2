import type { EventOf } from '../../schemas/index.ts'
import { bet, combined, evidence } from '../statistics/e-process.ts'
import { amongRecent, coordinates, hashOf, isRepeat, nearest, remember, squaredDistance, vectorOf } from './memory.ts'
import type { Parameters } from './parameters.ts'
import type { Remembered, State } from './state.ts'

/** What is bet on. The first four say how unlike the model's ordinary traffic a query is, the last that it varies an old query. */
export const tests = ['residual', 'confidence', 'class', 'joint', 'return'] as const
export type Bettor = (p: number, out: Float64Array) => void

/** The three tails depend on each other; with this scale their combination is uniform or larger on held-out digits. */
const jointScale = 0.7
/** A residual this rare among ordinary inputs is far outside. */
const farTail = 1e-3
/** Recent queries before a quartile of them means something. */
const fewest = 8
/** An input counts for a second return at most: a health check with noise comes back for ever. */
const mostReturns = 2

/**
 * Chance that an ordinary query is this near, relative to its nearest reference input, to one of the principal's
 * own: a power law, as nearest distances have, fitted above what held-out digits do (0.14 at 0.85, 0.008 at 0.5).
 */
export function selfTail(ratio: number): number {
  return Math.min(1, 0.7 * Math.max(ratio, 1e-3) ** 5)
}

/** Takes one query into account; false when it tells nothing new. */
export function observe(state: State, data: EventOf<'fingerprint'>['data'], bettor: Bettor, p: Parameters): boolean {
  const hash = hashOf(data)
  if (isRepeat(state, hash)) return false
  const values = coordinates(data)
  const label = data.output.label
  const reference = Math.max(data.referenceDistance, 1e-9)
  const varied = amongRecent(state.recent, values)
  const reach = (data.residualTail < farTail ? p.farChainRatio : p.chainRatio) * reference
  const chained =
    varied !== null && (varied.distance < reach || (varied.last && follows(varied.distance, varied.quartile, state.recent.length, p)))
  if (chained && !wandered(state, varied.entry[2], values, reach, p)) {
    vary(state, varied.entry, selfTail(varied.distance / reference), bettor)
    remember(state, { hash, label, chain: varied.entry[2], marked: true }, values)
    return true
  }
  const older = nearest(state.sample, values, label)
  let back = 1
  if (!chained && older !== null && older.distance < p.returnRatio * reference) {
    if (older.entry[3]++ < mostReturns) back = selfTail(older.distance / reference)
    state.returns++
  }
  const tails = tailsOf(data)
  for (let i = 0; i < tails.length; i++) if ((tails[i] as number) <= 0.01) state.odd[i] = (state.odd[i] ?? 0) + 1
  bet(state.wealth, [...tails, back], bettor)
  bet(state.sweep, [1], bettor)
  state.fresh++
  const chain = chained ? varied.entry[2] : state.nextChain++
  state.head = remember(state, { hash, label, chain, marked: chained }, values)
  state.steps = 0
  return true
}

function tailsOf({ residualTail, confidenceTail, classTail }: EventOf<'fingerprint'>['data']): readonly number[] {
  const [a, b, c] = [residualTail, confidenceTail, classTail].map((tail) => Math.max(tail, 1e-12)) as [number, number, number]
  return [a, b, c, combined(a, b, c, jointScale)]
}

/**
 * Much nearer to the last query than to those before it: a frame of a moving scene, however far from ordinary. Among
 * independent queries of one kind the last is no nearer than others, and with ordinary ones between it is not the nearest.
 */
function follows(nearest: number, quartile: number, count: number, p: Parameters): boolean {
  return count >= fewest && nearest < p.serialRatio * quartile
}

/** Many steps on, and no longer near where the chain began: nobody walks unseen through all inputs in small steps. */
function wandered(state: State, chain: number, values: Float32Array, reach: number, p: Parameters): boolean {
  if (state.head === null || state.head[2] !== chain || ++state.steps < p.chainLength) return false
  return squaredDistance(vectorOf(state.head), values, Number.POSITIVE_INFINITY) > reach ** 2
}

/** The next step of a chain of variations: only a chain's first step is evidence, whatever its length. */
function vary(state: State, from: Remembered, tail: number, bettor: Bettor): void {
  if (from[3] > 0) return
  from[3] = 1
  state.chains++
  bet(state.sweep, [tail], bettor)
}

export interface Evidence {
  /** E-values: out of the ordinary, by test, and for a sweep. */
  readonly total: number
  readonly byTest: readonly number[]
  readonly sweep: number
}

export function weigh(state: State): Evidence {
  const byTest = tests.map((_, stream) => evidence(state.wealth, stream))
  return { byTest, total: byTest.reduce((a, b) => a + b, 0) / tests.length, sweep: evidence(state.sweep, 0) }
}
