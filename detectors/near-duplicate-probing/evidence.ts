import { noiseShare } from './geometry.ts'
import type { Features } from './patterns.ts'
import type { Pattern } from './state.ts'

/**
 * What a link's features are worth, in nats. `sums` are independent events and add up; `levels` describe the
 * same few queries again and again, so that only their latest value counts.
 */
export interface Weights {
  readonly sums: Readonly<Record<(typeof summed)[number], number>>
  readonly levels: { readonly boundary: number; readonly strange: number }
}

export const summed = ['bisection', 'antithetic', 'sparse', 'walk', 'steered', 'creep'] as const satisfies readonly Pattern[]

/** Standard scores below which being opposite says nothing: re-encoding goes to and fro a little too. */
const leastOpposite = 2.6

/** The most that one pattern can say by itself. */
export const ceilings: Record<Pattern, number> = {
  bisection: 14,
  antithetic: 12,
  sparse: 12,
  walk: 12,
  search: 16,
  steered: 12,
  creep: 8,
  boundary: 9,
  strange: 9,
}

export function weigh(features: Features): Weights {
  const levels = { boundary: boundary(features), strange: strange(features) }
  if (features.loose) return { sums: { ...nothing, steered: steered(features) }, levels }
  return {
    sums: {
      bisection: bisection(features),
      antithetic: antithetic(features),
      sparse: sparse(features),
      walk: walk(features),
      steered: steered(features),
      creep: creep(features),
    },
    levels,
  }
}

const nothing = { bisection: 0, antithetic: 0, sparse: 0, walk: 0, steered: 0, creep: 0 }

/** Pairs follow each other, so that whoever goes on without any takes evidence away. A few pixels that blink are at times opposite too. */
function antithetic({ opposite, relative, kurtosis, repeats }: Features): number {
  if (relative >= 0.6 || kurtosis <= 1.9 || repeats) return 0
  return clip((opposite - leastOpposite) * 2.5, -0.25, 3)
}

/** A binary search asks in the middle, again and again; a fade or a slider passes in equal steps. */
function bisection({ between: { fit, balance }, shrinkage }: Features): number {
  const central = balance < (fit > 0.97 ? 1.2 : 1.6) ? 1 : balance < 2.5 && shrinkage < 0.7 ? 0.6 : 0.15
  if (fit > 0.99) return 3 * central
  if (fit > 0.97) return 2 * central
  // Under noise the points leave the line; ordinary queries hardly come as near to it.
  if (fit > 0.9) return 1.8 * central
  if (fit > 0.8) return 1.2 * central
  return fit > 0.7 ? 0.6 * central : 0
}

/**
 * One input value changed, and by as much as another was from the same point. Ordinary small changes touch many
 * values and take evidence away, and so do pixels that blink; a pen never goes back to try another pixel.
 */
function sparse({ kurtosis, relative, principalShare, corner, repeats }: Features): number {
  if (relative > 0.5) return 0
  if (kurtosis > 2.1 || repeats) return -0.6
  const tried = corner.siblings > 0 && corner.even
  if (kurtosis < 1.3 && principalShare < 0.15) return tried ? 2 : 0.6
  return kurtosis < 1.6 ? (tried ? 0.8 : 0.2) : 0
}

/**
 * Steps that no motion and no noise make, from one point to the next. That what was tried from one point stands at right angles
 * there says nothing: a camera's frame near the middle of its noise sees the others so. Wider angles take evidence away.
 */
function walk({ corner, deep, principalShare, relative, alternates, kurtosis }: Features): number {
  const { siblings, widest, back, mirrored, even } = corner
  if (alternates && relative < 0.3) return 2
  if (!deep || back < -0.4) return 0
  if (siblings === 0) return kurtosis > 2.2 && even && relative < 0.25 ? chain(corner, principalShare) : 0
  // What is no noise must at least be as regular as a basis vector times a step size.
  if (principalShare >= noiseShare && !(relative < 0.2 && even)) return 0
  if (mirrored) return 1.5
  return widest < 0.35 ? 0 : -2
}

/** Noise-like steps, each from where the last one ended: fresh noise would turn back, motion would go on. */
function chain({ back, onward }: Features['corner'], principalShare: number): number {
  if (principalShare >= 0.075 || back === 0) return 0
  if (Math.abs(back) < 0.15 && Math.abs(onward) < 0.15) return 1
  return back > 0.35 || onward > 0.25 ? -0.8 : 0
}

/** Less than the likelihood ratio, since a camera is looked at thousands of times. */
function steered({ steered: score }: Features): number {
  return score === 0 ? 0 : clip(score - 0.8, -2, 2)
}

/** The middle of many noisy queries moves off the subspace in which ordinary change happens. */
function creep({ shift }: Features): number {
  if (!shift || shift.principalShare > 0.15) return 0
  return clip((shift.drift - 1.6) * 2, 0, 3)
}

/** Near-duplicates that stay where the model is undecided, and move, by steps that ordinary change does not make. */
function boundary({ near, doubt, flips, drift, noiselike }: Features): number {
  if (near < 4 || noiselike < 0.5) return 0
  const undecided = clip(doubt - 1.5, 0, 6)
  const moving = clip((drift - 1) * 2, 0, 2)
  return undecided * 0.8 + (undecided > 2 ? clip(flips * 4, 0, 2) + moving : 0)
}

/** Near-duplicates off the manifold of ordinary inputs whose change is not plain noise. */
function strange({ near, strangeness, principalShare, flips }: Features): number {
  if (near < 3) return 0
  const off = clip(strangeness - 3, 0, 6)
  return principalShare > 0.12 || flips > 0 ? off : off * 0.3
}

export function clip(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value))
}
