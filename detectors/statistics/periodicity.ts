/** How regular a sequence of times is, against the best case of chance arrivals. */
export interface Periodicity {
  /** Nats of evidence: Chernoff bound of the tail probability, less what looking everywhere costs. */
  readonly score: number
  /** The median gap, milliseconds. */
  readonly period: number
  /** Median deviation of the gaps from the period, relative to it. */
  readonly jitter: number
  /** Share of the gaps that fit. */
  readonly fit: number
  readonly gaps: number
}

interface Tolerance {
  /** Half width of the band around the period, relative to it. */
  readonly width: number
  /** Missed beats stretch a gap to a multiple of the period; wide bands would overlap. */
  readonly multiples: number
  /** Largest share of exponential gaps, over all rates, that falls into the bands by chance. */
  readonly chance: number
}

const tolerances: readonly Tolerance[] = [
  [0.03, 3],
  [0.08, 3],
  [0.18, 2],
  [0.3, 1],
  [0.42, 1],
].map(([width = 0, multiples = 1]) => ({ width, multiples, chance: chance(width, multiples) }))

/** The worst case over the rate of a Poisson process, so that the score holds for all of them. */
function chance(width: number, multiples: number): number {
  let worst = 0
  for (let rate = 0.05; rate < 4; rate *= 1.02) {
    let mass = 0
    for (let m = 1; m <= multiples; m++) mass += Math.exp(-rate * (m - width)) - Math.exp(-rate * (m + width))
    worst = Math.max(worst, mass)
  }
  return worst
}

/**
 * Tests arrival times for a beat that tolerates jitter of ±40 % and missed beats. Counts the gaps within bands
 * around multiples of the median gap; chance puts a known share there, and Chernoff bounds how often it puts
 * that many. Null below six gaps.
 *
 * @param times ascending, milliseconds
 */
export function periodicity(times: readonly number[]): Periodicity | null {
  const gaps: number[] = []
  for (let i = 1; i < times.length; i++) gaps.push((times[i] ?? 0) - (times[i - 1] ?? 0))
  const n = gaps.length
  if (n < 6) return null
  const period = median(gaps)
  if (period <= 0) return null
  let best = Number.NEGATIVE_INFINITY
  let fit = 0
  for (const tolerance of tolerances) {
    let inside = 0
    for (const gap of gaps) if (within(gap / period, tolerance)) inside++
    // The median is inside by construction: it is no evidence.
    const score = (n - 1) * divergence((inside - 1) / (n - 1), tolerance.chance)
    if (score > best) {
      best = score
      fit = inside / n
    }
  }
  const jitter = median(gaps.map((gap) => Math.abs(gap - period))) / period
  return { score: best - Math.log(tolerances.length), period, jitter, fit, gaps: n }
}

function within(ratio: number, { width, multiples }: Tolerance): boolean {
  const m = Math.max(1, Math.round(ratio))
  return m <= multiples && Math.abs(ratio - m) <= width
}

/** Kullback-Leibler divergence of two Bernoulli shares, one-sided: no evidence when the share is at or below chance. */
function divergence(share: number, expected: number): number {
  if (share <= expected) return 0
  if (share >= 1) return -Math.log(expected)
  return share * Math.log(share / expected) + (1 - share) * Math.log((1 - share) / (1 - expected))
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? 0
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? 0)) / 2
}
