import { antithetic } from './antithetic.ts'
import {
  alternates,
  type Between,
  type Corner,
  cornerOf,
  driftOf,
  insideSegment,
  noiseShare,
  repeats,
  type Scene,
  type Shift,
  shiftOf,
  sparsity,
} from './geometry.ts'
import type { Point, Seen } from './point.ts'
import { steered } from './steering.ts'

/** What one link says. All are measured on the query and its surroundings at that moment. */
export interface Features {
  /** The parent is no near-duplicate: steps between the two say nothing. */
  readonly loose: boolean
  /** Distance to the parent against the distance to the nearest reference input. */
  readonly relative: number
  /** Squared distance to the parent against that to the next nearest of the last members: near 1 it might as well have been that one. */
  readonly nearness: number
  /** The parent is where this principal was last: several may go on with series of their own side by side. */
  readonly goesOn: boolean
  readonly between: Between
  /** The step against the one that led to the parent. */
  readonly shrinkage: number
  /** Standard scores of being opposite to an earlier query, as antithetic pairs are. */
  readonly opposite: number
  /** Near 1 when one input value changed. */
  readonly kurtosis: number
  /** What changed has changed before, a while ago. */
  readonly repeats: boolean
  /** Share of the change inside the principal subspace; sensor noise has little. */
  readonly principalShare: number
  readonly corner: Corner
  /** Every second step goes the same way, those between do not. */
  readonly alternates: boolean
  /** The parent was itself a small step from something. */
  readonly deep: boolean
  /** Share of the newest near members that were reached by steps like noise: hardly any of it in the principal subspace. */
  readonly noiselike: number
  /** Near members, the query included. */
  readonly near: number
  /** Their mean doubt and strangeness: about 1 for ordinary queries. */
  readonly doubt: number
  readonly strangeness: number
  /** Share of consecutive near members that were read differently. */
  readonly flips: number
  /** About 1 for noise around one scene, more for a walk. */
  readonly drift: number
  /** Standard scores by which the answers foretell the query. */
  readonly steered: number
  /** Over many members, now and then. */
  readonly shift: Shift | null
}

/** Near members are those within this many parent distances, or this share of the reference distance. */
const nearShare = 0.6
const nearCount = 12
/** So soon a bisection under noise, or a walk, has come to nothing but noise. */
const newest = 6

/** Kurtosis of a change in one input value, or hardly more. */
const mostSparse = 1.6

/** @param scale input units of one step */
export function featuresOf(scene: Scene, scale: number): Features {
  const { query, parent } = scene
  const near = nearMembers(scene, (nearShare * query.point.reference) / scale)
  const points = near.map((each) => each.point)
  const kurtosis = sparsity(scene)
  const opposite = antithetic(scene)
  return {
    loose: scene.loose,
    relative: (query.point.step * scale) / Math.max(query.point.reference, 1e-9),
    nearness: nearnessOf(scene),
    goesOn: parent === scene.trail.findLast((each) => each.point.principal === query.point.principal),
    between: insideSegment(scene, scene.trail, scene.own),
    shrinkage: parent.point.step > 0 ? query.point.step / parent.point.step : 1,
    opposite,
    kurtosis,
    repeats: (kurtosis < mostSparse || opposite > 0) && repeats(scene),
    principalShare: query.point.share,
    corner: cornerOf(scene),
    alternates: alternates(scene),
    deep: parent.point.parent > 0 && parent.point.step * scale < 0.3 * parent.point.reference,
    noiselike: mean(points.slice(-newest), (point) => (point.parent > 0 && point.share < noiseShare ? 1 : 0)),
    near: near.length,
    doubt: mean(points, (point) => point.doubt),
    strangeness: mean(points, (point) => point.strangeness),
    flips: changes(points),
    drift: driftOf(near, scene.apart),
    steered: steered(scene),
    shift: scene.past.length > 0 ? shiftOf(scene.past) : null,
  }
}

function nearnessOf({ query, parent, trail, apart }: Scene): number {
  let next = Number.POSITIVE_INFINITY
  for (const each of trail) if (each !== parent) next = Math.min(next, apart.squared(each, query))
  return apart.squared(query, parent) / Math.max(1, next)
}

/** The last members within a distance of the query, and the query. */
function nearMembers({ query, trail, apart }: Scene, radius: number): readonly Seen[] {
  const bound = radius * radius
  const near: Seen[] = []
  for (let i = Math.max(0, trail.length - nearCount + 1); i < trail.length; i++) {
    const each = trail[i] as Seen
    if (apart.squared(each, query) <= bound) near.push(each)
  }
  near.push(query)
  return near
}

function mean(points: readonly Point[], of: (point: Point) => number): number {
  let sum = 0
  for (const point of points) sum += of(point)
  return sum / Math.max(1, points.length)
}

function changes(points: readonly Point[]): number {
  let count = 0
  for (let i = 1; i < points.length; i++) if (points[i]?.label !== points[i - 1]?.label) count++
  return points.length > 1 ? count / (points.length - 1) : 0
}
