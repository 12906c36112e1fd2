import type { Cluster } from './state.ts'

/** Members in a row that said nothing, after which a cluster is looked at half as often, and again. */
const settledAfter = 32
const mostStride = 4

/** One in so many members is weighed: a camera's or a video's need not all be, an attack that begins there shows itself in the next that is. */
export function strideOf({ quiet }: Cluster): number {
  return quiet < settledAfter ? 1 : Math.min(mostStride, 2 ** Math.floor(quiet / settledAfter))
}
