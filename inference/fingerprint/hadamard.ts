/**
 * Unnormalised fast Walsh–Hadamard transform in place, n log2 n additions. Behind random signs it spreads any
 * input evenly over all coordinates, so that a few of them estimate its length (Ailon and Chazelle, "The fast
 * Johnson–Lindenstrauss transform", 2009).
 *
 * @param x length a power of two
 */
export function hadamard(x: Float64Array): void {
  const n = x.length
  for (let half = 1; half < n; half *= 2) {
    for (let from = 0; from < n; from += 2 * half) {
      const middle = from + half
      for (let i = from; i < middle; i++) {
        const a = x[i] as number
        const b = x[i + half] as number
        x[i] = a + b
        x[i + half] = a - b
      }
    }
  }
}
