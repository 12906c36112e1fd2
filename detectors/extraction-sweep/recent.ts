import { capacity, type Memory, type Nearest } from './memory.ts'

const distances = new Float64Array(capacity.recent)
/** Consecutive steps point the same way, and are about as long. */
const straightCosine = 0.9
const evenLength = 1.6

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

/** Whether the way from the last but one query over the last to this one is straight, in even steps. */
export function isStraight(memory: Memory, values: Float32Array): boolean {
  if (memory.recent < 2 || memory.width !== values.length) return false
  const [last, before] = [memory.last(1), memory.last(2)]
  const [step, stepBefore] = [memory.read(last, 'step'), memory.read(before, 'step')]
  const { cells, width } = memory
  let [dot, one, two] = [0, 0, 0]
  for (let i = 0; i < width; i++) {
    const middle = (cells[last * width + i] as number) * step
    const a = (values[i] as number) - middle
    const b = middle - (cells[before * width + i] as number) * stepBefore
    dot += a * b
    one += a * a
    two += b * b
  }
  if (one === 0 || two === 0) return false
  const ratio = Math.sqrt(one / two)
  return dot >= straightCosine * Math.sqrt(one * two) && ratio <= evenLength && ratio >= 1 / evenLength
}
