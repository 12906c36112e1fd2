import type { ReferenceDetector } from './port.ts'
import { Remembered } from './remembered.ts'

export interface DeltaCosineOptions {
  /** Ordinary images, to learn the ordinary histogram and its spread from; at least ten windows of them. */
  readonly reference: readonly Float32Array[]
  readonly window?: number
  readonly bins?: number
  readonly principals?: number
}

/** The last image, the last difference, and the cosines in the window as a ring. */
interface Account {
  image: Float32Array | null
  delta: Float32Array | null
  readonly cosines: number[]
  count: number
}

/**
 * The histogram of cosines between consecutive differences of an account's queries, against the ordinary one. Ordinary
 * queries are independent, so their differences stand at about 120°; a walk's do not. After Park, McLaughlin and
 * Alouani, "Mind the gap: detecting black-box adversarial attacks in the making through query update analysis"
 * (GWAD), 2025, whose classifier of histograms is replaced by their total-variation distance, so that nothing is
 * trained on attacks; the threshold is the largest distance among windows of the reference.
 */
export function deltaCosine(options: DeltaCosineOptions): ReferenceDetector {
  const { reference, window = 64, bins = 20, principals = 4_096 } = options
  const fresh = (): Account => ({ image: null, delta: null, cosines: [], count: 0 })
  const teacher = fresh()
  const all: number[] = []
  for (const image of reference) {
    const cosine = advance(teacher, image, window)
    if (cosine !== null) all.push(cosine)
  }
  const ordinary = histogram(all, bins)
  let threshold = 0
  for (let at = 0; at + window <= all.length; at++)
    threshold = Math.max(threshold, distance(histogram(all.slice(at, at + window), bins), ordinary))
  const accounts = new Remembered<Account>(principals, fresh)
  return {
    name: `delta cosine ${window}`,
    observe(principal, image) {
      const account = accounts.of(principal)
      if (advance(account, image, window) === null || account.cosines.length < window) return []
      return distance(histogram(account.cosines, bins), ordinary) > threshold ? [principal] : []
    },
  }
}

/** The cosine that this image adds; null for the first two, and 0 where it repeats the one before. */
function advance(account: Account, image: Float32Array, window: number): number | null {
  const { image: before, delta: last } = account
  account.image = image.slice()
  if (before === null) return null
  const delta = image.map((value, i) => value - (before[i] ?? 0))
  account.delta = delta
  if (last === null) return null
  let [dot, a, b] = [0, 0, 0]
  for (let i = 0; i < delta.length; i++) {
    dot += (delta[i] as number) * (last[i] as number)
    a += (delta[i] as number) ** 2
    b += (last[i] as number) ** 2
  }
  const cosine = a * b === 0 ? 0 : dot / Math.sqrt(a * b)
  account.cosines[account.count++ % window] = cosine
  return cosine
}

/** Shares by bin of −1…1. */
function histogram(cosines: readonly number[], bins: number): Float64Array {
  const out = new Float64Array(bins)
  for (const cosine of cosines) {
    const bin = Math.min(bins - 1, Math.max(0, Math.floor(((cosine + 1) / 2) * bins)))
    out[bin] = (out[bin] ?? 0) + 1 / cosines.length
  }
  return out
}

function distance(a: Float64Array, b: Float64Array): number {
  return a.reduce((sum, value, i) => sum + Math.abs(value - (b[i] ?? 0)), 0) / 2
}
