import { remainderDimensions } from '../statistics/sketch.ts'
import { type Distances, Middle } from './distances.ts'
import { leastLength, type Scene } from './geometry.ts'
import type { Seen } from './point.ts'

/**
 * Standard scores by which the query is opposite to one of the last few, seen from the centre of the others:
 * gradient estimates probe in antithetic pairs. Independent noise gives 0 ± 1.
 */
export function antithetic({ query, trail, apart }: Scene): number {
  let best = 0
  for (let k = Math.max(0, trail.length - 2); k < trail.length; k++) {
    const other = trail[k] as Seen
    const gap = apart.squared(query, other)
    if (gap < leastLength * leastLength) continue
    const rest = around(query, other, trail, 4 * gap, apart)
    if (rest.length < 2) continue
    const middle = new Middle(rest, apart)
    const against = -cosineFrom(middle, rest.length, query, other, gap)
    const opposite = against / (spread * (1 + 1 / rest.length))
    if (opposite <= best || alongOneLine(query, rest, middle, against)) continue
    // The search noise is isotropic; what ordinary change does to and fro is mostly inside the principal subspace.
    if (Math.max(middle.share(query), middle.share(other)) < searchShare) best = opposite
  }
  return best
}

/** Least mean cosine with the rest, of that with the opposite. */
const leastAlong = 0.35

/** A lamp that flickers, a pixel that blinks or a camera that swings goes to and fro along one line, noise or not: no search. */
function alongOneLine(query: Seen, rest: readonly Seen[], middle: Middle, against: number): boolean {
  let sum = 0
  for (const each of rest) {
    const along = Math.abs(middle.cosine(query, each))
    if (along > 0.7) return true
    sum += along
  }
  return sum > leastAlong * against * rest.length
}

/**
 * Cosine of the ways to two points from where the middle of some others would be if they were many. Of a few it is off by
 * their scatter, which both lengths have in common. 0 where the lengths differ: what is far from everything lies opposite to nothing.
 */
function cosineFrom(middle: Middle, count: number, a: Seen, b: Seen, gap: number): number {
  const toA = middle.squared(a)
  const toB = middle.squared(b)
  const off = middle.scatter / (count - 1)
  const usual = off * count
  if (Math.min(toA, toB, usual + off) < leastAlike * Math.max(toA, toB)) return 0
  const lengths = Math.sqrt(Math.max(0, toA - off) * Math.max(0, toB - off))
  return Math.max(-1, (toA + toB - 2 * off - gap) / (2 * Math.max(usual, lengths)))
}

/** Least share of one squared length in another that counts as the same. */
const leastAlike = 0.65

const mostAround = 8

/** The last members within a distance of the query, but one. */
function around(query: Seen, but: Seen, trail: readonly Seen[], squared: number, apart: Distances): readonly Seen[] {
  const found: Seen[] = []
  for (let i = trail.length - 1; i >= 0 && found.length < mostAround; i--) {
    const each = trail[i] as Seen
    if (each !== but && apart.squared(each, query) < squared) found.push(each)
  }
  return found
}

const searchShare = 0.15

/** Standard deviation of the cosine of independent isotropic differences: all but their remainder is negligible. */
const spread = 1 / Math.sqrt(remainderDimensions)
