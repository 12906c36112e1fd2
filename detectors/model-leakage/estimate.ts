import { coefficients } from './coefficients.ts'
import { cellsOf, distinctOf, oddLevel, type Summary, traitsAt } from './summary.ts'

export { merged } from './summary.ts'

/** What a summary says of the one who asked, as the regression reads it. */
export interface Composition {
  /** Estimated distinct inputs, and the cells of the sketch that the ordinary among them lie in. */
  readonly distinct: number
  readonly cells: number
  /** Of the labels of ordinary inputs in the sample, nats; the others' count for less. */
  readonly labelEntropy: number
  /** Classes the model has as far as is known: one more than the highest label in the sample. */
  readonly classes: number
  /** Of the sampled inputs, shares and means in 0..1. */
  readonly ordinary: number
  /** Mean of a weight that falls slowly with how far outside the ordinary an input is. */
  readonly near: number
  /** Mean logarithm of the root of the entropy of answers to ordinary inputs, 0 for √2: how hard the task is. */
  readonly hesitation: number
  readonly rounded: number
  readonly labelOnly: number
}

/** Levels over which the two weights fall to 1/e: 2.4 decades and 0.8. */
const [far, close] = [6, 2]

export function compositionOf(summary: Summary): Composition {
  const labels = new Map<number, number>()
  let [filled, squares, highest, ordinary, near, nearest, hesitation, rounded, labelOnly] = [0, 0, 0, 0, 0, 0, 0, 0, 0]
  for (const register of summary.sample) {
    if (register === 0) continue
    const traits = traitsAt(register)
    filled++
    const weight = Math.exp(-traits.odd / close)
    labels.set(traits.label, (labels.get(traits.label) ?? 0) + weight)
    squares += weight * weight
    if (traits.odd <= oddLevel) ordinary++
    highest = Math.max(highest, traits.label)
    near += Math.exp(-traits.odd / far)
    nearest += weight
    hesitation += weight * Math.log((1 + traits.doubt) / 256)
    if (traits.told === 1) rounded++
    if (traits.told === 0) labelOnly++
  }
  const of = (sum: number) => sum / Math.max(1, filled)
  let labelEntropy = 0
  for (const weight of labels.values()) labelEntropy -= (weight / nearest) * Math.log(weight / nearest)
  // A small sample has too little entropy (Miller 1955).
  labelEntropy += ((labels.size - 1) * squares) / (2 * nearest * nearest || 1)
  return {
    distinct: distinctOf(summary),
    cells: cellsOf(summary),
    labelEntropy,
    classes: Math.max(2, highest + 1),
    ordinary: of(ordinary),
    near: of(near),
    hesitation: hesitation / Math.max(nearest, 1e-9),
    rounded: of(rounded),
    labelOnly: of(labelOnly),
  }
}

export interface Features {
  /** What guessing gets right. */
  readonly chance: number
  readonly ordinary: readonly number[]
  readonly odd: readonly number[]
}

/**
 * What the fidelity is estimated from, in the order of the coefficients. A copy learns from ordinary inputs, the more the
 * better, and from odd ones up to what these have to do with the ordinary.
 */
export function featuresOf(c: Composition): Features {
  const balance = Math.min(0, c.labelEntropy - Math.log(c.classes))
  // Hardening is felt where answers are few: with many, labels alone say where the boundaries are.
  const few = 50 / (50 + c.distinct)
  return {
    chance: 1 / c.classes,
    ordinary: [1, Math.log1p(c.cells), balance, c.hesitation, few * c.rounded, few * c.labelOnly],
    odd: [1, Math.log1p(c.distinct), c.near, balance, c.rounded, c.labelOnly],
  }
}

export interface Estimate {
  /** Share of ordinary inputs on which a copy trained on the answers would agree with the model, 0..1. */
  readonly fidelity: number
  readonly distinct: number
}

/** @returns what a copy trained on these answers would reach; 0 where nothing was asked */
export function estimate(summary: Summary): Estimate {
  const composition = compositionOf(summary)
  return { fidelity: fidelityOf(composition), distinct: composition.distinct }
}

/** @param offset how much easier (above 0) this model is to copy than those that were measured, on the logit */
export function fidelityOf(composition: Composition, offset = 0): number {
  if (composition.distinct === 0) return 0
  const { chance, ordinary, odd } = featuresOf(composition)
  const odds = (Math.exp(dot(ordinary, coefficients.ordinary)) + Math.exp(dot(odd, coefficients.odd))) * Math.exp(offset)
  return chance + ((1 - chance) * odds) / (1 + odds)
}

function dot(values: readonly number[], by: readonly number[]): number {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += (values[i] as number) * (by[i] ?? 0)
  return sum
}

/** More than this many inputs nobody asks within the memory of a state. */
const beyond = 1e7

/** With how many distinct inputs of this kind a copy would reach `fidelity`; infinite where it never would. */
export function neededFor(fidelity: number, composition: Composition, offset = 0): number {
  const { distinct, cells } = composition
  if (distinct === 0) return Number.POSITIVE_INFINITY
  // What share of new inputs still lies in new cells.
  const opening = Math.min(1, cells / Math.max(1, distinct * composition.ordinary))
  const at = (log: number) => {
    const inputs = Math.exp(log)
    return fidelityOf({ ...composition, distinct: inputs, cells: cells * (inputs / distinct) ** opening }, offset)
  }
  let [low, high] = [0, Math.log(beyond)]
  if (at(high) < fidelity) return Number.POSITIVE_INFINITY
  for (let i = 0; i < 24; i++) {
    const middle = (low + high) / 2
    if (at(middle) < fidelity) low = middle
    else high = middle
  }
  return Math.exp(high)
}
