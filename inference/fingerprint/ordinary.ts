// Which values of a statistic an attacker brought, where a share of what was seen may be an attacker's.

/** Upper tails at which values are counted, and their standard normal quantiles, Φ⁻¹(1 − p). */
const levels: readonly (readonly [number, number])[] = [
  [0.1, 1.2816],
  [0.07, 1.4758],
  [0.05, 1.6449],
  [0.035, 1.8119],
  [0.025, 1.96],
  [0.015, 2.1701],
  [0.01, 2.3263],
  [0.005, 2.5758],
  [0.002, 2.8782],
]
/** So far out there is nothing ordinary. */
const farthest = [3e-5, 4.0128] as const
/** A count may be above what is expected by so many standard deviations. */
const patience = 2
const steps = 400

/** The value that an upper tail of an ordinary statistic has: `at` gives quantiles of what is left. */
type Tail = (at: (upper: number) => number, upper: number, normal: number) => number

/** Values above 0 that vary by factors. */
export const logNormal: Tail = (at, _, normal) => {
  const deviation = Math.log(Math.max(at(0.3), 1e-9) / Math.max(at(0.7), 1e-9)) / (2 * 0.5244)
  return at(0.5) * Math.exp(deviation * normal)
}

/**
 * Oddness: excesses over the middle of three statistics, in deviations of the lower half. Three independent log-normal ones would
 * have a decay of 0.8; handwriting, whose odd inputs are often odd in all three, has 1.8.
 */
export const oddness: Tail = (at, upper) => at(0.5) + oddnessDecay * Math.log(0.5 / upper)
const oddnessDecay = 1.8

/**
 * The most ordinary value: those above are more than an ordinary tail has. The fewest are left out that leave one.
 *
 * @param most share of the sample that may be an attacker's
 */
export function mostOrdinary(sample: Float64Array, most: number, tail: Tail): number {
  const sorted = sample.slice().sort()
  const cap = Math.floor(most * sorted.length)
  const step = Math.max(1, Math.floor(sorted.length / steps))
  let left = 0
  while (left < cap && !isOrdinary(sorted.subarray(0, sorted.length - left), tail)) left = Math.min(cap, left + step)
  const rest = sorted.subarray(0, sorted.length - left)
  const limit = tail(quantilesOf(rest), ...farthest)
  // Few enough to pass for a tail may be left of an attack; no more than may be an attacker's is left out in any case.
  return Math.max(Math.min(limit, rest.at(-1) ?? limit), sorted[sorted.length - cap - 1] ?? limit)
}

function isOrdinary(sorted: Float64Array, tail: Tail): boolean {
  const at = quantilesOf(sorted)
  return levels.every(([upper, normal]) => {
    const expected = upper * sorted.length
    return countAbove(sorted, tail(at, upper, normal)) <= expected + patience * Math.sqrt(expected)
  })
}

function quantilesOf(sorted: Float64Array): (upper: number) => number {
  return (upper) => sorted[Math.floor((1 - upper) * sorted.length)] ?? 0
}

function countAbove(sorted: Float64Array, limit: number): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] as number) > limit) high = middle
    else low = middle + 1
  }
  return sorted.length - low
}
