/**
 * The Shapiro–Wilk statistic W of normality, 0 to 1, small where a sample is not normal: Shapiro and Wilk 1965, with the
 * weights of Royston, "Approximating the Shapiro–Wilk W-test for non-normality", Statistics and Computing 2, 1992.
 *
 * @param sorted at least 6 values, ascending
 */
export function shapiroWilk(sorted: ArrayLike<number>): number {
  const n = sorted.length
  if (n < 6) throw new RangeError(`Shapiro–Wilk takes at least 6 values, not ${n}`)
  const m = Float64Array.from({ length: n }, (_, i) => quantile((i + 1 - 0.375) / (n + 0.25)))
  const sum = m.reduce((total, value) => total + value * value, 0)
  const u = 1 / Math.sqrt(n)
  const last = (m[n - 1] ?? 0) / Math.sqrt(sum) + u * (0.221157 + u * (-0.147981 + u * (-2.07119 + u * (4.434685 - 2.706056 * u))))
  const next = (m[n - 2] ?? 0) / Math.sqrt(sum) + u * (0.042981 + u * (-0.293762 + u * (-1.752461 + u * (5.682633 - 3.582633 * u))))
  const rest = Math.sqrt((sum - 2 * (m[n - 1] ?? 0) ** 2 - 2 * (m[n - 2] ?? 0) ** 2) / (1 - 2 * last ** 2 - 2 * next ** 2))
  const weight = (i: number) => {
    const fromEnd = Math.min(i, n - 1 - i)
    const size = fromEnd === 0 ? last : fromEnd === 1 ? next : Math.abs(m[i] ?? 0) / rest
    return i < n / 2 ? -size : size
  }
  let mean = 0
  for (let i = 0; i < n; i++) mean += (sorted[i] ?? 0) / n
  let matched = 0
  let squares = 0
  for (let i = 0; i < n; i++) {
    matched += weight(i) * (sorted[i] ?? 0)
    squares += ((sorted[i] ?? 0) - mean) ** 2
  }
  return squares === 0 ? 1 : matched ** 2 / squares
}

/** Quantiles of the standard normal: P. J. Acklam's rational approximation, relative error below 1.2e-9. */
function quantile(p: number): number {
  const low = 0.02425
  if (p < low || p > 1 - low) {
    const q = Math.sqrt(-2 * Math.log(Math.min(p, 1 - p)))
    const above =
      ((((-7.784894002430293e-3 * q - 0.3223964580411365) * q - 2.400758277161838) * q - 2.549732539343734) * q + 4.374664141464968) * q
    const below = (((7.784695709041462e-3 * q + 0.3224671290700398) * q + 2.445134137142996) * q + 3.754408661907416) * q + 1
    const tail = (above + 2.938163982698783) / below
    return p < low ? tail : -tail
  }
  const q = p - 0.5
  const r = q * q
  const above =
    ((((-39.69683028665376 * r + 220.9460984245205) * r - 275.9285104469687) * r + 138.357751867269) * r - 30.66479806614716) * r +
    2.506628277459239
  const below =
    ((((-54.47609879822406 * r + 161.5858368580409) * r - 155.6989798598866) * r + 66.80131188771972) * r - 13.28068155288572) * r + 1
  return (above * q) / below
}
