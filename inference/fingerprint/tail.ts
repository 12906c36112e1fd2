/**
 * Upper-tail probabilities from a sample, continued beyond its largest value.
 *
 * Between its knots log-probability is linear. Beyond the last knot the tail is exponential with the mean
 * excess over the 95th percentile (the peaks-over-threshold fit with shape 0), widened by half: a p-value that
 * is too large costs a few queries, one that is too small costs a false alarm.
 */
export interface TailTable {
  /** Statistic at each of {@link tailLevels}, not decreasing. */
  readonly knots: Float32Array
  /** Decay length of the tail beyond the last knot, in units of the statistic. */
  readonly decay: number
}

/** Upper-tail probabilities of the knots. */
export const tailLevels = [
  0.999, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.035, 0.025, 0.015, 0.01, 0.005, 0.002,
]

const widening = 1.5
/** p-values stop here: no sample of thousands says anything about rarer events. */
const least = 1e-12

/** @param sample at least 100 values of one statistic, any order */
export function tailTable(sample: Float64Array): TailTable {
  const sorted = sample.slice().sort()
  const at = (upper: number) => sorted[Math.min(sorted.length - 1, Math.floor((1 - upper) * sorted.length))] ?? 0
  const threshold = at(0.05)
  let excess = 0
  let count = 0
  for (const value of sorted) {
    if (value <= threshold) continue
    excess += value - threshold
    count++
  }
  const spread = at(0.25) - at(0.75)
  const decay = widening * (count > 0 ? excess / count : spread)
  return { knots: Float32Array.from(tailLevels, at), decay: Math.max(decay, spread * 0.01, 1e-9) }
}

/** Share of the reference with at least `value`, in (0, 1]. */
export function upperTail(table: TailTable, value: number): number {
  const { knots, decay } = table
  const last = knots.length - 1
  if (!(value > (knots[0] ?? 0))) return 1
  const top = knots[last] ?? 0
  const lowest = tailLevels[last] ?? 1
  if (value >= top) return Math.max(least, lowest * Math.exp(-(value - top) / decay))
  let high = 1
  while (high < last && (knots[high] ?? 0) <= value) high++
  const from = knots[high - 1] ?? 0
  const to = knots[high] ?? 0
  const share = to > from ? (value - from) / (to - from) : 1
  const logFrom = Math.log(tailLevels[high - 1] ?? 1)
  const logTo = Math.log(tailLevels[high] ?? 1)
  return Math.exp(logFrom + share * (logTo - logFrom))
}
