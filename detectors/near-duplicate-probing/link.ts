import { difference, sketchDistance } from '../statistics/sketch.ts'
import type { Scene, Seen } from './geometry.ts'
import { insideSegment } from './geometry.ts'
import type { Memory, Point } from './memory.ts'

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
export function link(memory: Memory, query: Seen, share: number, scale: number): Scene | undefined {
  const radius = (share * query.point.reference) / scale
  const own = seen(memory, memory.recent(query.point.principal))
  const nearest = memory.nearest(query.vector, query.point.residual, radius)
  if (nearest) {
    const parent = seen(memory, [nearest.point.seq])[0]
    const end = parent && endOf(memory, query, parent, own)
    return parent && sceneOf(query, parent, end ? [...own, ...seen(memory, [end.seq])] : own)
  }
  if (query.point.doubt < leastDoubt) return undefined
  const parent = nearestOf(query, own)
  if (!parent) return undefined
  const scene = sceneOf(query, parent, own)
  return insideSegment({ ...scene, trail: own }).fit > segmentFit ? scene : undefined
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
