import { capacity, type Memory, type Nearest } from './memory.ts'

const distances = new Float64Array(capacity.recent)

/** The nearest of the last queries, whatever its answer; row −1 where there are none. */
export function nearestRecent(memory: Memory, values: Float32Array): Nearest {
  let best = -1
  let least = Number.POSITIVE_INFINITY
  for (let row = 0; row < memory.recent; row++) {
    const squared = memory.squaredDistance(row, values, least)
    if (squared >= least) continue
    least = squared
    best = row
  }
  return { row: best, distance: Math.sqrt(least) }
}

/** The lower quartile of the distances to the last queries. */
export function lowerQuartile(memory: Memory, values: Float32Array): number {
  const found = distances.subarray(0, memory.recent)
  for (let row = 0; row < found.length; row++) found[row] = memory.squaredDistance(row, values, Number.POSITIVE_INFINITY)
  found.sort()
  return Math.sqrt(found[found.length >> 2] ?? 0)
}
