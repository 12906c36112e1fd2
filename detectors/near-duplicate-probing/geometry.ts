import { cosine, type Difference, difference, remainderKurtosis, sketchDistance } from '../statistics/sketch.ts'
import type { Point } from './point.ts'

/** Isotropic noise has 4 % of its energy in 32 of 784 directions; clipping to the range adds some. */
export const noiseShare = 0.1

/** A remembered query with its sketch. */
export interface Seen {
  readonly point: Point
  readonly vector: Int16Array
}

/** The query in hand, what it was linked to, and its surroundings, oldest first. All lengths in steps of the sketch. */
export interface Scene {
  readonly query: Seen
  /** The nearest remembered query. */
  readonly parent: Seen
  /** The cluster's last members, the query excluded. */
  readonly trail: readonly Seen[]
  /** The principal's own last queries that are not in the trail. */
  readonly own: readonly Seen[]
  /** Every so often, many members, for what shows only in the long run; else empty. */
  readonly past: readonly Seen[]
}

/** A query between two earlier ones that the model read differently. */
export interface Between {
  /** −cos of the angle at the query: 1 when it is exactly on their segment. */
  readonly fit: number
  /** The longer way to an end against the shorter: 1 in the middle, where a binary search asks. */
  readonly balance: number
}

/** The pair of earlier queries, the parent one of them, between which the query lies best: exactly, then centrally. */
export function insideSegment({ query, parent, trail, own }: Scene): Between {
  let best: Between = { fit: 0, balance: Number.POSITIVE_INFINITY }
  const near = sketchDistance(parent.vector, query.vector)
  if (near < leastLength) return best
  for (const others of [trail, own]) {
    for (const other of others) {
      if (other.point.seq === parent.point.seq || other.point.label === parent.point.label) continue
      const opposite = -along(parent.vector, query.vector, other.vector)
      if (opposite <= 0) continue
      const far = sketchDistance(other.vector, query.vector)
      if (far < leastLength) continue
      const fit = opposite / (near * far)
      const balance = Math.max(far / near, near / far)
      if (preference(fit, balance) > preference(best.fit, best.balance)) best = { fit, balance }
    }
  }
  return best
}

/** Scalar product of the ways from `at` to `a` and to `b`. */
function along(a: Int16Array, at: Int16Array, b: Int16Array): number {
  let sum = 0
  for (let i = 0; i < at.length; i++) sum += ((a[i] as number) - (at[i] as number)) * ((b[i] as number) - (at[i] as number))
  return sum
}

function preference(fit: number, balance: number): number {
  return Math.min(fit, 0.97) - 0.02 * Math.min(balance, 10)
}

/** Below this many steps rounding bends the directions. */
const leastLength = 12

/**
 * Standard scores by which the query is opposite to one of the last few, seen from the centre of the others:
 * gradient estimates probe in antithetic pairs. Independent noise gives 0 ± 1.
 */
export function antithetic({ query, trail }: Scene): number {
  let best = 0
  for (const other of trail.slice(-2)) {
    const apart = sketchDistance(query.vector, other.vector)
    if (apart < leastLength) continue
    const rest = trail.filter((each) => each !== other && sketchDistance(each.vector, query.vector) < 2 * apart).slice(-8)
    if (rest.length < 3) continue
    const center = centerOf(rest)
    const here = difference(query.vector, center)
    const there = difference(other.vector, center)
    // A lamp that flickers or a camera that swings goes to and fro along one line: no search.
    const swings = rest.some((each) => Math.abs(cosine(here, difference(each.vector, center))) > 0.7)
    // The search noise is isotropic; what ordinary change does to and fro is mostly inside the principal subspace.
    const plain = Math.max(here.principalShare, there.principalShare) < searchShare
    if (!swings && plain) best = Math.max(best, -cosine(here, there) / spread(query.vector.length))
  }
  return best
}

const searchShare = 0.15

/** Standard deviation of the cosine of independent isotropic differences: all but their remainder is negligible. */
function spread(dimensions: number): number {
  return 1 / Math.sqrt(Math.max(16, dimensions * (2 / 3)))
}

export function centerOf(points: readonly Seen[]): Float64Array {
  const center = new Float64Array(points[0]?.vector.length ?? 0)
  for (const { vector } of points)
    for (let i = 0; i < center.length; i++) center[i] = (center[i] as number) + (vector[i] as number) / points.length
  return center
}

/** Kurtosis of the change from the parent: near 1 when it is one input value; 3 when it is too small to tell. */
export function sparsity({ query, parent }: Scene): number {
  const change = difference(query.vector, parent.vector)
  return change.length < leastLength ? 3 : remainderKurtosis(change)
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
export function cornerOf({ query, parent, trail }: Scene): Corner {
  const here = difference(query.vector, parent.vector)
  let siblings = 0
  let widest = -1
  let back = 0
  let sum = 0
  let angles = 0
  let mirrored = false
  let shortest = here.length
  let longest = here.length
  for (const other of trail) {
    const before = other.point.seq === parent.point.parent
    if (!before && other.point.parent !== parent.point.seq) continue
    const there = difference(other.vector, parent.vector)
    const ratio = here.length / there.length
    if (!(ratio > 0.4 && ratio < 2.5)) continue
    const angle = cosine(here, there)
    widest = Math.max(widest, angle)
    sum += angle
    angles++
    shortest = Math.min(shortest, there.length)
    longest = Math.max(longest, there.length)
    if (before) back = angle
    else siblings++
    if (!before && angle < -0.85 && ratio > 0.75 && ratio < 1.33) mirrored = true
  }
  return {
    siblings,
    widest,
    mean: angles > 0 ? sum / angles : 1,
    back,
    mirrored,
    even: longest < 1.25 * shortest,
    onward: onwardOf({ query, parent, trail, own: [], past: [] }),
  }
}

function onwardOf({ query, parent, trail }: Scene): number {
  const grand = trail.find((each) => each.point.seq === parent.point.parent)
  const great = grand && trail.find((each) => each.point.seq === grand.point.parent)
  return great ? cosine(difference(query.vector, parent.vector), difference(grand.vector, great.vector)) : 1
}

/**
 * Whether every second step goes the same way and those between do not: a sideways step, then one towards the
 * source, and again. Motion with noise cannot do it: what makes steps i and i + 2 agree makes i and i + 1 agree.
 */
export function alternates(scene: Scene): boolean {
  const path = [...scene.trail.slice(-4), scene.parent, scene.query]
  const stepTo = (each: Seen) => {
    const before = path.find((other) => other.point.seq === each.point.parent)
    return before && difference(each.vector, before.vector)
  }
  const [first, second, third] = [...scene.trail.slice(-2), scene.query].map(stepTo)
  if (!first || !second || !third || Math.min(first.length, second.length, third.length) < leastLength) return false
  if (Math.min(first.principalShare, second.principalShare, third.principalShare) > noiseShare) return false
  return cosine(first, third) > 0.8 && Math.abs(cosine(first, second)) < 0.35 && Math.abs(cosine(second, third)) < 0.35
}

/** The change from the parent. */
export function change({ query, parent }: Scene): Difference {
  return difference(query.vector, parent.vector)
}

/** How far the later half of some queries lies from the earlier half. */
export interface Shift {
  /** Against what their scatter explains: about 1 for independent noise around one scene, more for a walk. */
  readonly drift: number
  /** Share of the way inside the principal subspace: motion and light have much, a search has little. */
  readonly principalShare: number
}

export function shiftOf(points: readonly Seen[]): Shift {
  if (points.length < 6) return { drift: 1, principalShare: 1 }
  const half = points.length >> 1
  const early = points.slice(0, half)
  const late = points.slice(half)
  const from = centerOf(early)
  const to = centerOf(late)
  const expected = scatter(early, from) / early.length + scatter(late, to) / late.length
  const way = difference(to, from)
  return { drift: expected > 0 ? way.length ** 2 / expected : 1, principalShare: way.principalShare }
}

/** Mean squared distance from the center, unbiased. */
function scatter(group: readonly Seen[], center: Float64Array): number {
  let sum = 0
  for (const { vector } of group) sum += difference(vector, center).length ** 2
  return sum / Math.max(1, group.length - 1)
}
