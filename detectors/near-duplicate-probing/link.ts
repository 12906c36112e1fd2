import { remainderDimensions } from '../statistics/sketch.ts'
import { insideSegment, type Link } from './geometry.ts'
import type { Memory } from './memory.ts'
import type { Seen } from './point.ts'
import type { State } from './state.ts'
import { strideOf } from './stride.ts'

/** How exactly a query must lie between two of the principal's own to belong to them however far they are; noise bends the line. */
const segmentFit = 0.9
/** The same between any two of thousands. */
const strangersFit = 0.97

/** Nobody bisects where the model is sure; ordinary queries are above this one time in four. */
const leastDoubt = 1.4

/**
 * Finds what a query is a near-duplicate of: the nearest remembered query if it is near for this part of the
 * input space, or else the nearest of the principal's own if the query lies on a segment between two of them, or not far away.
 *
 * @param share of the distance to the nearest reference input
 * @param scale input units of one step
 */
export function link(state: State, query: Seen, bands: Uint32Array, share: number, scale: number): Link | undefined {
  const { memory } = state
  const { point } = query
  const radius = (share * point.reference) / scale
  const sought = { vector: query.vector, bands, principal: point.principal, radius }
  const nearest = memory.nearest(sought, fronts(state), (id) => comparedOf(state, id))
  if (!nearest) return afar(memory, query, scale)
  const own = seen(memory, memory.recent(point.principal))
  const parent = memory.entry(nearest.point.seq)
  if (!parent) return undefined
  step(query, parent)
  const found = { query, parent, own, loose: false }
  if (point.doubt >= leastDoubt && point.step > leastBisected * radius && membersOf(state, parent.point.cluster).length < oldMembers)
    withEnd(memory, found)
  return found
}

/**
 * Changes that are drawn anew around one input lie further from each other than near-duplicates do, but nearer than ordinary
 * inputs: within this share of the distance to the nearest reference input.
 */
const looseShare = 0.7
/** Whose inputs are stranger is far from all reference inputs, and so his own are near to each other whatever they are. */
const mostStrange = 6

/** Links a query to the nearest of the principal's own that is no near-duplicate: on a segment between two of them, or loosely. */
function afar(memory: Memory, query: Seen, scale: number): Link | undefined {
  const { point } = query
  const doubtful = point.doubt >= leastDoubt
  const reach = point.strangeness < mostStrange ? (looseShare * point.reference) / scale : 0
  if (!doubtful && reach === 0) return undefined
  const own = seen(memory, memory.recent(point.principal))
  const parent = nearestOf(query, own, doubtful ? Number.POSITIVE_INFINITY : reach * reach)
  if (!parent) return undefined
  step(query, parent)
  const found = { query, parent, own, loose: false }
  if (doubtful && insideSegment(found, own, []).fit > segmentFit) return found
  return point.step < reach ? { ...found, loose: true } : undefined
}

/** Shorter steps than this share of the radius come at the end of a bisection, when it is known. */
const leastBisected = 0.2
/** Nobody begins to bisect after so many queries around one point; the trail shows the ends of who goes on. */
const oldMembers = 8

/** Clusters that a new query is always compared with: those that grew last. */
const mostFronts = 16
const front: number[] = []

/** Where the last clusters to grow would go on: from their newest query or their best one. */
function fronts({ clusters }: State): readonly number[] {
  front.length = 0
  for (let i = Math.max(0, clusters.length - mostFronts); i < clusters.length; i++) {
    const search = clusters[i]?.search
    if (search) front.push(search.last, search.incumbent)
  }
  return front
}

/** Who has long been quiet is known well enough by its newest members. */
function comparedOf(state: State, id: number): readonly number[] {
  const cluster = state.clusters.findLast((each) => each.id === id)
  return cluster && strideOf(cluster) === 1 ? cluster.members : []
}

function membersOf({ clusters }: State, id: number): readonly number[] {
  return clusters.findLast((each) => each.id === id)?.members ?? []
}

/** Adds, whoever sent it, the far end of the segment that the query and its parent may be on, unless the principal's own shows it. */
function withEnd(memory: Memory, found: Link & { own: Seen[] }): void {
  if (insideSegment(found, found.own, []).fit > strangersFit) return
  const end = memory.across(found.query.vector, found.parent.point, strangersFit)
  const entry = end && memory.entry(end.seq)
  if (entry) found.own.push(entry)
}

/** Notes by what step the query was reached. */
function step({ point, vector }: Seen, parent: Seen): void {
  const split = Math.max(0, vector.length - remainderDimensions)
  let inside = 0
  let squared = 0
  for (let i = 0; i < vector.length; i++) {
    const change = (vector[i] as number) - (parent.vector[i] as number)
    squared += change * change
    if (i === split - 1) inside = squared
  }
  point.parent = parent.point.seq
  point.step = Math.sqrt(squared)
  point.share = squared > 0 ? inside / squared : 0
}

export function seen(memory: Memory, seqs: readonly number[]): Seen[] {
  const found: Seen[] = []
  for (const seq of seqs) {
    const entry = memory.entry(seq)
    if (entry) found.push(entry)
  }
  return found
}

/** @param squared within which it must lie, in steps² */
function nearestOf({ vector }: Seen, own: readonly Seen[], squared: number): Seen | undefined {
  let best: Seen | undefined
  let least = squared
  for (const each of own) {
    let sum = 0
    for (let i = 0; i < vector.length && sum < least; i++) {
      const difference = (each.vector[i] as number) - (vector[i] as number)
      sum += difference * difference
    }
    if (sum >= least) continue
    least = sum
    best = each
  }
  return best
}
