import { coefficients, errors } from './coefficients.ts'
import { cellsOf, distinctOf, labelsOf, mostSeen, oddLevel, ordinaryWeight, parts, type Summary, traitsAt } from './summary.ts'

export { merged } from './summary.ts'

/** What a summary says of the one who asked, as the regression reads it. */
export interface Composition {
  /** Estimated distinct inputs, and the cells of the sketch that the ordinary among them lie in. */
  readonly distinct: number
  readonly cells: number
  /** As many inputs, far from each other, as the ordinary ones are worth, and the others. */
  readonly fresh: number
  readonly strange: number
  /** Entropies of the labels in the sample less what the model's classes allow, ≤ 0 nats: with odd inputs counting less, and all alike. */
  readonly balance: number
  readonly coverage: number
  readonly classes: number
  /** Share of the classes that were among the answers: a copy gives no label that it was never shown. */
  readonly shown: number
  /** Of the sampled inputs, shares and means in 0..1. */
  readonly ordinary: number
  /** Mean of a weight that falls slowly with how far outside the ordinary an input is. */
  readonly near: number
  readonly rounded: number
  readonly labelOnly: number
  /** Logarithm of the mean root of the entropy of answers to ordinary inputs: how hard the task is. */
  readonly hesitation: number
}

/** Levels of oddness over which the slow weight falls to 1/e: 2.4 decades. */
const far = 6
/** What is supposed of the answers' doubt before there are any: as much as these inputs, far from each other, and this much. */
const [supposed, usualDoubt] = [6, 0.18]

/** @param known classes of the model; without it, as many as were seen among its answers */
export function compositionOf(summary: Summary, known = 0): Composition {
  const { different, highest } = labelsOf(summary)
  const classes = Math.max(2, known, highest)
  // A sample this small is never as varied as very many classes.
  const variety = Math.log(Math.min(classes, mostSeen))
  const [weighted, alike] = [new Map<number, number>(), new Map<number, number>()]
  let [filled, weights, ordinary, near, rounded, labelOnly] = [0, 0, 0, 0, 0, 0]
  for (const register of summary.sample) {
    if (register === 0) continue
    const { label, odd, told } = traitsAt(register)
    const weight = ordinaryWeight[odd] as number
    filled++
    weights += weight
    weighted.set(label, (weighted.get(label) ?? 0) + weight)
    alike.set(label, (alike.get(label) ?? 0) + 1)
    near += Math.exp(-odd / far)
    if (odd <= oddLevel) ordinary++
    if (told === 1) rounded++
    if (told === 0) labelOnly++
  }
  const of = (sum: number) => sum / Math.max(1, filled)
  const distinct = distinctOf(summary)
  return {
    distinct,
    cells: cellsOf(summary),
    // Repeats that are told apart by other inputs between them add to the sums: never more than there are distinct inputs.
    fresh: Math.min(summary.fresh / parts, distinct * of(weights)),
    strange: Math.min(summary.strange / parts, distinct * (1 - of(weights))),
    balance: Math.min(0, entropyOf(weighted, weights) - variety),
    coverage: Math.min(0, entropyOf(alike, filled) - variety),
    classes,
    shown: classes > mostSeen ? 1 : different / classes,
    ordinary: of(ordinary),
    near: of(near),
    rounded: of(rounded),
    labelOnly: of(labelOnly),
    hesitation: Math.log((summary.doubt + parts * supposed * usualDoubt) / (summary.fresh + parts * supposed)),
  }
}

/** Of labels by weight, nats; a small sample has too little (Miller 1955). */
function entropyOf(labels: ReadonlyMap<number, number>, total: number): number {
  let entropy = 0
  for (const weight of labels.values()) entropy -= (weight / total) * Math.log(weight / total)
  return entropy + (labels.size - 1) / (2 * Math.max(total, 1))
}

export interface Features {
  /** What guessing gets right. */
  readonly chance: number
  /** The most that a copy can get right. */
  readonly ceiling: number
  readonly ordinary: readonly number[]
  readonly odd: readonly number[]
}

/**
 * What the fidelity is estimated from, in the order of the coefficients. A copy learns from ordinary inputs, the more the
 * better, and from odd ones up to what these have to do with the ordinary; from variations of one input little more than once.
 */
export function featuresOf(c: Composition): Features {
  // Hardening is felt where answers are few: with many, labels alone say where the boundaries are.
  const few = 50 / (50 + c.distinct)
  return {
    chance: 1 / c.classes,
    ceiling: c.shown,
    ordinary: [1, Math.log1p(c.fresh), Math.log1p(c.cells), c.balance, c.hesitation, few * c.rounded, few * c.labelOnly],
    odd: [1, Math.log1p(c.strange), c.near, c.coverage, c.rounded, c.labelOnly],
  }
}

export interface Estimate {
  /** Share of ordinary inputs on which a copy trained on the answers would agree with the model, 0..1. */
  readonly fidelity: number
  /** Within lie nine of ten copies by thieves, and of models, that the estimate was not fitted on. */
  readonly low: number
  readonly high: number
}

/** @param offset how much easier (above 0) this model is to copy than those that were measured, on the logit */
export function estimate(composition: Composition, offset = 0): Estimate {
  const fidelity = fidelityOf(composition, offset)
  return { fidelity, ...bandOf(composition, fidelity) }
}

export type Kind = 'few' | 'many' | 'swept' | 'odd'

/** How well the estimate is known depends on what was asked: mostly odd inputs, sweeps around few inputs, or ordinary ones, few or many. */
export function kindOf({ ordinary, distinct, fresh, strange }: Composition): Kind {
  if (ordinary < 0.5) return 'odd'
  if (fresh + strange < 0.5 * distinct) return 'swept'
  return distinct < 200 ? 'few' : 'many'
}

export function bandOf(composition: Composition, fidelity: number): { readonly low: number; readonly high: number } {
  const { below, above } = errors[kindOf(composition)]
  return { low: Math.max(0, fidelity - below), high: Math.min(1, fidelity + above) }
}

export function fidelityOf(composition: Composition, offset = 0): number {
  if (composition.distinct === 0) return 0
  const { chance, ceiling, ordinary, odd } = featuresOf(composition)
  const odds = (Math.exp(dot(ordinary, coefficients.ordinary)) + Math.exp(dot(odd, coefficients.odd))) * Math.exp(offset)
  return Math.min(ceiling, chance + ((1 - chance) * odds) / (1 + odds))
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
  const { distinct, cells, fresh, strange } = composition
  if (distinct === 0) return Number.POSITIVE_INFINITY
  // What share of new inputs still lies in new cells.
  const opening = Math.min(1, cells / Math.max(1, distinct * composition.ordinary))
  const at = (log: number) => {
    const inputs = Math.exp(log)
    const times = inputs / distinct
    const then = { distinct: inputs, cells: cells * times ** opening, fresh: fresh * times, strange: strange * times }
    return fidelityOf({ ...composition, ...then }, offset)
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
