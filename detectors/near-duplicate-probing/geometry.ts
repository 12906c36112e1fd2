import { remainderDimensions } from '../statistics/sketch.ts'
import { type Distances, Middle } from './distances.ts'
import type { Seen } from './point.ts'

/** Isotropic noise has 4 % of its energy in 32 of 784 directions; clipping to the range adds some. */
export const noiseShare = 0.1

/** A query and the nearest remembered one. All lengths in steps of the sketch. */
export interface Link {
  readonly query: Seen
  readonly parent: Seen
  /** The principal's own last queries, oldest first. */
  readonly own: readonly Seen[]
  /** No near-duplicate of its parent, so that the step says nothing by itself. */
  readonly loose: boolean
}

/** A link and its surroundings, oldest first. */
export interface Scene extends Link {
  /** The cluster's last members, the query excluded. */
  readonly trail: readonly Seen[]
  /** Between the query, the parent and the trail. */
  readonly apart: Distances
  /** Every so often, many members, for what shows only in the long run; else empty. */
  readonly past: readonly Seen[]
  /** Distance from the query to the nearest reference input, in steps. */
  readonly reach: number
}

/** A query between two earlier ones that the model read differently. */
export interface Between {
  /** −cos of the angle at the query: 1 when it is exactly on their segment. */
  readonly fit: number
  /** The longer way to an end against the shorter: 1 in the middle, where a binary search asks. */
  readonly balance: number
}

/** The pair of earlier queries, the parent one of them, between which the query lies best: exactly, then centrally. */
export function insideSegment({ query, parent }: Link, trail: readonly Seen[], own: readonly Seen[]): Between {
  const best = between(query, parent, trail, nowhere)
  return between(query, parent, own, best)
}

const nowhere: Between = { fit: 0, balance: Number.POSITIVE_INFINITY }

function between(query: Seen, parent: Seen, others: readonly Seen[], known: Between): Between {
  let best = known
  for (const other of others) {
    if (other.point.label === parent.point.label || other.point.seq === parent.point.seq) continue
    const found = angleAt(query.vector, parent.vector, other.vector)
    if (preference(found.fit, found.balance) > preference(best.fit, best.balance)) best = found
  }
  return best
}

/**
 * The angle at a query between two others, by all coordinates, or by the principal ones if that is straighter: noise that somebody
 * adds to every query bends the line, but hardly any of it lies in the subspace in which inputs differ.
 */
function angleAt(at: Int16Array, a: Int16Array, b: Int16Array): Between {
  const split = Math.max(0, at.length - remainderDimensions)
  let along = 0
  let toA = 0
  let toB = 0
  let inside = nowhere
  for (let i = 0; i < at.length; i++) {
    if (i === split) inside = straightness(-along, toA, toB, mostInside)
    const wayA = (a[i] as number) - (at[i] as number)
    const wayB = (b[i] as number) - (at[i] as number)
    along += wayA * wayB
    toA += wayA * wayA
    toB += wayB * wayB
  }
  const whole = straightness(-along, toA, toB, 1)
  return inside.fit > whole.fit ? inside : whole
}

/** A few coordinates are not as sure as all. */
const mostInside = 0.98

function straightness(opposite: number, a: number, b: number, most: number): Between {
  if (opposite <= 0 || Math.min(a, b) < leastLength * leastLength) return nowhere
  return { fit: Math.min(most, opposite / Math.sqrt(a * b)), balance: Math.sqrt(Math.max(a / b, b / a)) }
}

function preference(fit: number, balance: number): number {
  return Math.min(fit, 0.97) - 0.02 * Math.min(balance, 10)
}

/** Below this many steps rounding bends the directions. */
export const leastLength = 12

/**
 * Kurtosis of the change from the parent in the remainder: 3 for a change that is spread over many input values, 3 − 2/s for one
 * of s values, since each remainder coordinate is then a sum of s random signs; 3 when it is too small to tell.
 */
export function sparsity({ query, parent, apart }: Scene): number {
  if (apart.squared(query, parent) < leastLength * leastLength) return 3
  const x = query.vector
  const y = parent.vector
  let second = 0
  let fourth = 0
  for (let i = Math.max(0, x.length - remainderDimensions); i < x.length; i++) {
    const difference = (x[i] as number) - (y[i] as number)
    const square = difference * difference
    second += square
    fourth += square * square
  }
  return second > 0 ? (remainderDimensions * fourth) / (second * second) : 3
}

/** Whoever tries one value after the other has done with it after so many queries: up, down, and a step. */
const soon = 4

/** Whether a change from the parent was made before along the same line: pixels that blink do so again and again. */
export function repeats({ query, parent, trail, apart }: Scene): boolean {
  for (let i = 0; i < trail.length - soon; i++) {
    const each = trail[i] as Seen
    const from = withSeq(trail, each.point.parent)
    if (from && Math.abs(apart.cosine(query, parent, each, from)) > 0.8) return true
  }
  return false
}

/** The angles at the parent between the query and what else was tried from there. */
export interface Corner {
  /** Children of the parent whose steps are of a like length. */
  readonly siblings: number
  /** Largest cosine with any of them or with the way by which the parent was reached. */
  readonly widest: number
  /** Mean cosine with all of them: 1/2 for fresh noise in every query, about 0 for independent changes of one point. */
  readonly mean: number
  /** Cosine with the way back: −1 goes straight on, as motion does. */
  readonly back: number
  /** Some sibling is as far away on the other side. */
  readonly mirrored: boolean
  /** Steps from the parent are of one length. */
  readonly even: boolean
  /** Cosine with the step before the one that led to the parent: motion goes on, a random walk forgets. */
  readonly onward: number
}

/**
 * Fresh noise in every query makes equal triangles: 60°, cosine 1/2, wherever one looks from. Steps that are
 * tried from one point make right angles there, since random directions are orthogonal.
 */
export function cornerOf(scene: Scene): Corner {
  const { query, parent, trail, apart } = scene
  const here = apart.squared(query, parent)
  let siblings = 0
  let widest = -1
  let back = 0
  let sum = 0
  let angles = 0
  let mirrored = false
  let shortest = here
  let longest = here
  for (const other of trail) {
    const before = other.point.seq === parent.point.parent
    if (!before && other.point.parent !== parent.point.seq) continue
    const there = apart.squared(other, parent)
    const ratio = Math.sqrt(here / there)
    if (!(ratio > 0.4 && ratio < 2.5)) continue
    const angle = apart.cosine(query, parent, other, parent)
    widest = Math.max(widest, angle)
    sum += angle
    angles++
    shortest = Math.min(shortest, there)
    longest = Math.max(longest, there)
    if (before) back = angle
    else siblings++
    if (!before && angle < -0.85 && ratio > 0.75 && ratio < 1.33) mirrored = true
  }
  const mean = angles > 0 ? sum / angles : 1
  return { siblings, widest, mean, back, mirrored, even: longest < mostUneven * shortest, onward: onwardOf(scene) }
}

/** Squared lengths of steps that count as one length. */
const mostUneven = 1.25 ** 2

function onwardOf({ query, parent, trail, apart }: Scene): number {
  const grand = withSeq(trail, parent.point.parent)
  const great = grand && withSeq(trail, grand.point.parent)
  return great ? apart.cosine(query, parent, grand, great) : 1
}

function withSeq(trail: readonly Seen[], seq: number): Seen | undefined {
  if (seq === 0) return undefined
  for (let i = trail.length - 1; i >= 0; i--) if (trail[i]?.point.seq === seq) return trail[i]
  return undefined
}

/**
 * Whether every second step goes the same way and those between do not: a sideways step, then one towards the
 * source, and again. Motion with noise cannot do it: what makes steps i and i + 2 agree makes i and i + 1 agree.
 */
export function alternates({ query, parent, trail, apart }: Scene): boolean {
  const second = trail.at(-1)
  const first = trail.at(-2)
  if (!first || !second || trail.length < 3) return false
  const fromSecond = originOf(second, trail, parent)
  const fromFirst = originOf(first, trail, parent)
  if (!fromFirst || !fromSecond) return false
  const least = Math.min(apart.squared(first, fromFirst), apart.squared(second, fromSecond), apart.squared(query, parent))
  if (least < leastLength * leastLength) return false
  if (Math.min(apart.share(first, fromFirst), apart.share(second, fromSecond), apart.share(query, parent)) > noiseShare) return false
  if (apart.cosine(first, fromFirst, query, parent) <= 0.8) return false
  const turned = Math.abs(apart.cosine(first, fromFirst, second, fromSecond))
  return turned < 0.35 && Math.abs(apart.cosine(second, fromSecond, query, parent)) < 0.35
}

/** Where a step began, if that was lately. */
function originOf(step: Seen, trail: readonly Seen[], parent: Seen): Seen | undefined {
  const seq = step.point.parent
  if (seq === parent.point.seq) return parent
  for (let i = Math.max(0, trail.length - 4); i < trail.length; i++) if (trail[i]?.point.seq === seq) return trail[i]
  return undefined
}

/** How far the later half of some queries lies from the earlier half. */
export interface Shift {
  /** Against what their scatter explains: about 1 for independent noise around one scene, more for a walk. */
  readonly drift: number
  /** Share of the way inside the principal subspace: motion and light have much, a search has little. */
  readonly principalShare: number
}

/** The drift of some members whose distances are known. */
export function driftOf(points: readonly Seen[], apart: Distances): number {
  if (points.length < 6) return 1
  const half = points.length >> 1
  const early = new Middle(points.slice(0, half), apart)
  const late = new Middle(points.slice(half), apart)
  let sum = 0
  for (let i = 0; i < half; i++) for (let j = half; j < points.length; j++) sum += apart.squared(points[i] as Seen, points[j] as Seen)
  const way = sum / (half * (points.length - half)) - early.scatter - late.scatter
  // Unbiased scatter over its count: the variance of each middle.
  const expected = early.scatter / (half - 1) + late.scatter / (points.length - half - 1)
  return expected > 0 ? way / expected : 1
}

/** The shift of any queries, from their sketches. */
export function shiftOf(points: readonly Seen[]): Shift {
  if (points.length < 6) return { drift: 1, principalShare: 1 }
  const half = points.length >> 1
  const early = momentsOf(points.slice(0, half))
  const late = momentsOf(points.slice(half))
  let inside = 0
  let squared = 0
  const split = Math.max(0, early.center.length - remainderDimensions)
  for (let i = 0; i < early.center.length; i++) {
    const way = (late.center[i] as number) - (early.center[i] as number)
    squared += way * way
    if (i < split) inside += way * way
  }
  const expected = early.variance / half + late.variance / (points.length - half)
  return { drift: expected > 0 ? squared / expected : 1, principalShare: squared > 0 ? inside / squared : 0 }
}

/** The middle of a group, and the unbiased mean squared distance from it. */
function momentsOf(group: readonly Seen[]): { center: Float64Array; variance: number } {
  const center = new Float64Array(group[0]?.vector.length ?? 0)
  let squares = 0
  for (const { vector } of group) {
    for (let i = 0; i < center.length; i++) {
      const value = vector[i] as number
      center[i] = (center[i] as number) + value
      squares += value * value
    }
  }
  for (let i = 0; i < center.length; i++) {
    const mean = (center[i] as number) / group.length
    center[i] = mean
    squares -= group.length * mean * mean
  }
  return { center, variance: squares / Math.max(1, group.length - 1) }
}
