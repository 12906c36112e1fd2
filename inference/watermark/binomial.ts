/** A term so much smaller than the sum changes no digit of it. */
const negligible = 1e-17

/**
 * Probability of `hits` or more of `trials`, each with probability `rate`: the exact upper tail of the binomial distribution,
 * summed from its largest term in logarithms, so that 1e-300 is not 0.
 *
 * @param trials whole, up to some 10⁷; `hits` whole, 0 to `trials`; `rate` 0..1
 */
export function binomialTail(trials: number, hits: number, rate: number): number {
  if (hits <= 0) return 1
  if (hits > trials || rate <= 0) return 0
  if (rate >= 1) return 1
  // Below the mean the other tail is the shorter sum.
  if (hits <= trials * rate) return Math.max(0, 1 - lowerTail(trials, hits - 1, rate))
  return sumFrom(trials, hits, rate)
}

/** Probability of `hits` or fewer, where these are the unlikely side: the upper tail of misses. */
function lowerTail(trials: number, hits: number, rate: number): number {
  return sumFrom(trials, trials - hits, 1 - rate)
}

/** Terms fall from `from` on, where that is beyond the mean. */
function sumFrom(trials: number, from: number, rate: number): number {
  const first = logTerm(trials, from, rate)
  const odds = rate / (1 - rate)
  let [sum, term] = [1, 1]
  for (let i = from; i < trials; i++) {
    term *= (odds * (trials - i)) / (i + 1)
    sum += term
    if (term < negligible * sum) break
  }
  return Math.min(1, Math.exp(first + Math.log(sum)))
}

function logTerm(trials: number, hits: number, rate: number): number {
  const shorter = Math.min(hits, trials - hits)
  let choose = 0
  for (let i = 1; i <= shorter; i++) choose += Math.log((trials - shorter + i) / i)
  return choose + hits * Math.log(rate) + (trials - hits) * Math.log1p(-rate)
}
