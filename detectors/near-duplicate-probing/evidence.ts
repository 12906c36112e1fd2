import type { Features } from './patterns.ts'
import type { Pattern } from './state.ts'

/**
 * What a link's features are worth, in nats. `sums` are independent events and add up; `levels` describe the
 * same few queries again and again, so that only their latest value counts.
 */
export interface Weights {
  readonly sums: Partial<Record<Pattern, number>>
  readonly levels: Partial<Record<Pattern, number>>
}

/** The most that one pattern can say by itself. */
export const ceilings: Record<Pattern, number> = { bisection: 14, antithetic: 12, sparse: 12, boundary: 9, strange: 9 }

export function weigh(features: Features): Weights {
  return {
    sums: {
      bisection: bisection(features),
      antithetic: features.relative < 0.6 ? clip((features.opposite - 2.3) * 1.5, 0, 4) : 0,
      sparse: sparse(features),
    },
    levels: { boundary: boundary(features), strange: strange(features) },
  }
}

function bisection({ inside }: Features): number {
  if (inside > 0.99) return 3
  if (inside > 0.97) return 2
  return inside > 0.9 ? 1 : 0
}

function sparse({ kurtosis, relative }: Features): number {
  if (relative > 0.5) return 0
  if (kurtosis < 1.6) return 2
  return kurtosis < 2 ? 0.7 : 0
}

/** Near-duplicates that stay where the model is undecided, and move. */
function boundary({ near, doubt, flips, drift }: Features): number {
  if (near < 4) return 0
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
