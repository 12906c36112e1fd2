import { difference, sketchDistance } from '../statistics/sketch.ts'
import type { Scene, Seen } from './geometry.ts'
import { insideSegment } from './geometry.ts'
import type { Memory } from './memory.ts'
import type { Point } from './point.ts'
import type { State } from './state.ts'

/** How exactly a query must lie between two earlier ones to belong to them however far they are. */
const segmentFit = 0.97

/** Nobody bisects where the model is sure; ordinary queries are above this one time in four. */
const leastDoubt = 1.4

/**
 * Finds what a query is a near-duplicate of: the nearest remembered query if it is near for this part of the
 * input space, or else the nearest of the principal's own if the query lies on a segment between two of them.
 *
 * @param share of the distance to the nearest reference input
 * @param scale input units of one step
 */
export function link(state: State, query: Seen, bands: Uint32Array, share: number, scale: number): Scene | undefined {
  const { memory } = state
  const radius = (share * query.point.reference) / scale
  const { principal } = query.point
  const nearest = memory.nearest({ vector: query.vector, bands, principal, radius }, fronts(state), (id) => membersOf(state, id))
  if (!nearest && query.point.doubt < leastDoubt) return undefined
  const own = seen(memory, memory.recent(principal))
  if (nearest) {
    const parent = seen(memory, [nearest.point.seq])[0]
    const old = membersOf(state, nearest.point.cluster).length >= oldMembers
    const end = parent && !old ? endOf(memory, query, parent, own) : undefined
    return parent && sceneOf(query, parent, end ? [...own, ...seen(memory, [end.seq])] : own)
  }
  const parent = nearestOf(query, own)
  if (!parent) return undefined
  const scene = sceneOf(query, parent, own)
  return insideSegment({ ...scene, trail: own }).fit > segmentFit ? scene : undefined
}

/** Nobody begins to bisect after so many queries around one point; the trail shows the ends of who goes on. */
const oldMembers = 24

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

function membersOf({ clusters }: State, id: number): readonly number[] {
  return clusters.find((each) => each.id === id)?.members ?? []
}

/** Whoever sent it: the far end of the segment that the query and its parent may be on, unless the principal's own shows it. */
function endOf(memory: Memory, query: Seen, parent: Seen, own: readonly Seen[]): Point | undefined {
  if (query.point.doubt < leastDoubt) return undefined
  const known = insideSegment({ query, parent, trail: own, own: [], past: [] }).fit > segmentFit
  return known ? undefined : memory.across(query.vector, parent.point, segmentFit)
}

function sceneOf(query: Seen, parent: Seen, own: readonly Seen[]): Scene {
  query.point.parent = parent.point.seq
  const change = difference(query.vector, parent.vector)
  query.point.step = change.length
  query.point.share = change.principalShare
  return { query, parent, trail: [], own, past: [] }
}

export function seen(memory: Memory, seqs: readonly number[]): Seen[] {
  return seqs.flatMap((seq) => {
    const point: Point | undefined = memory.get(seq)
    const vector = memory.vector(seq)
    return point && vector ? [{ point, vector }] : []
  })
}

function nearestOf(query: Seen, own: readonly Seen[]): Seen | undefined {
  let best: Seen | undefined
  let least = Number.POSITIVE_INFINITY
  for (const each of own) {
    const distance = sketchDistance(each.vector, query.vector)
    if (distance >= least) continue
    least = distance
    best = each
  }
  return best
}
