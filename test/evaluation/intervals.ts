/** A share with its bounds. */
export interface Interval {
  readonly low: number
  readonly high: number
}

/** Two-sided 95 %. */
const z = 1.959963984540054

/** Wilson's score interval of a share, 95 %. E. B. Wilson, JASA 22 (1927). */
export function wilson(hits: number, count: number): Interval {
  if (count === 0) return { low: 0, high: 1 }
  const share = hits / count
  const centre = share + z ** 2 / (2 * count)
  const reach = z * Math.sqrt((share * (1 - share)) / count + z ** 2 / (4 * count ** 2))
  const scale = 1 + z ** 2 / count
  return { low: hits === 0 ? 0 : (centre - reach) / scale, high: hits === count ? 1 : (centre + reach) / scale }
}

/**
 * Exact upper bound of a share: the largest that still gives `hits` or fewer out of `count` with probability 5 %.
 * One-sided, so of none it is the rule of three (1 − 0.05^(1/n)). C. J. Clopper and E. S. Pearson, Biometrika 26 (1934).
 */
export function exactUpper(hits: number, count: number, risk = 0.05): number {
  if (hits >= count) return 1
  let [low, high] = [hits / count, 1]
  for (let i = 0; i < 200 && high - low > 1e-15; i++) {
    const middle = (low + high) / 2
    if (binomialTail(hits, count, middle) > risk) low = middle
    else high = middle
  }
  return high
}

/** Probability of at most `hits` of `count`, each with probability `share`. */
function binomialTail(hits: number, count: number, share: number): number {
  if (share >= 1) return 0
  const odds = Math.log(share) - Math.log1p(-share)
  let term = count * Math.log1p(-share)
  let largest = term
  const terms = [term]
  for (let k = 1; k <= hits; k++) {
    term += Math.log(count - k + 1) - Math.log(k) + odds
    terms.push(term)
    largest = Math.max(largest, term)
  }
  return Math.exp(largest) * terms.reduce((sum, each) => sum + Math.exp(each - largest), 0)
}

/** Nearest-rank quantile over `count` runs, of which only these came to anything: null where it lies among the others. */
export function quantileOf(values: readonly number[], count: number, share: number): number | null {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * count) - 1)] ?? null
}
