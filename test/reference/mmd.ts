import { pooled, squaredDistance } from './pooled.ts'
import type { ReferenceDetector } from './port.ts'
import { Remembered } from './remembered.ts'

export interface MmdOptions {
  /** Ordinary images; the first half is compared with, the rest sets the threshold. */
  readonly reference: readonly Float32Array[]
  readonly window?: number
  readonly principals?: number
}

interface Account {
  readonly recent: Float32Array[]
  count: number
}

/**
 * Maximum mean discrepancy between an account's last queries and ordinary ones, with a Gaussian kernel of the median
 * width: Gretton, Borgwardt, Rasch, Schölkopf and Smola, "A kernel two-sample test", JMLR 2012. Judged at the end of every
 * full window; flags above twice the largest value among windows of the reference's second half.
 */
export function windowedMmd({ reference, window = 50, principals = 4_096 }: MmdOptions): ReferenceDetector {
  const features = reference.map((image) => pooled(image))
  const half = features.length >> 1
  const known = features.slice(0, Math.min(half, 200))
  const width = medianSquared(known)
  const within = meanKernel(known, known, width)
  const score = (recent: readonly Float32Array[]) => meanKernel(recent, recent, width) + within - 2 * meanKernel(recent, known, width)
  let threshold = 0
  for (let at = half; at + window <= features.length; at += window >> 1)
    threshold = Math.max(threshold, 2 * score(features.slice(at, at + window)))
  const accounts = new Remembered<Account>(principals, () => ({ recent: [], count: 0 }))
  return {
    name: `mmd ${window}`,
    observe(principal, image) {
      const account = accounts.of(principal)
      account.recent[account.count++ % window] = pooled(image)
      if (account.count % window !== 0) return []
      return score(account.recent) > threshold ? [principal] : []
    },
  }
}

/** Mean of the kernel over pairs; of a sample with itself without the pairs of equals. */
function meanKernel(a: readonly Float32Array[], b: readonly Float32Array[], width: number): number {
  let sum = 0
  let pairs = 0
  for (const [i, x] of a.entries())
    for (const [j, y] of b.entries()) {
      if (a === b && i === j) continue
      sum += Math.exp(-squaredDistance(x, y) / width)
      pairs++
    }
  return sum / pairs
}

function medianSquared(sample: readonly Float32Array[]): number {
  const all = sample.slice(1).map((x, i) => squaredDistance(x, sample[i] ?? x))
  return all.sort((a, b) => a - b)[all.length >> 1] ?? 1
}
