import type { ReferenceDetector } from './port.ts'
import { Remembered } from './remembered.ts'
import { shapiroWilk } from './shapiro-wilk.ts'

export interface PradaOptions {
  /** Flags below this W; the paper's value for MNIST. */
  readonly delta?: number
  /** Distances before it judges. */
  readonly least?: number
  readonly principals?: number
}

interface Account {
  /** By class: the images that were far from all earlier ones, and the distance that counts as far. */
  readonly growing: Map<number, { images: Float32Array[]; threshold: number; distances: number[] }>
  /** All distances to the nearest earlier image of the same class, ascending, and in order of arrival. */
  readonly sorted: number[]
  readonly arrived: number[]
}

const maxGrowing = 300
const maxDistances = 2_000

/**
 * PRADA: distances of an account's queries to its own nearest earlier one of the same class are near normal for natural
 * inputs, and not for made ones. Juuti, Szyller, Marchal and Asokan, "PRADA: protecting against DNN model stealing
 * attacks", EuroS&P 2019.
 */
export function prada(options: PradaOptions = {}): ReferenceDetector {
  const { delta = 0.95, least = 100, principals = 4_096 } = options
  const accounts = new Remembered<Account>(principals, () => ({ growing: new Map(), sorted: [], arrived: [] }))
  return {
    name: 'prada',
    observe(principal, image, { label }) {
      const account = accounts.of(principal)
      learn(account, image, label)
      const kept = withoutOutliers(account.sorted)
      return kept.length > least && shapiroWilk(kept) < delta ? [principal] : []
    },
  }
}

function learn(account: Account, image: Float32Array, label: number): void {
  const known = account.growing.get(label)
  if (known === undefined) {
    if (account.growing.size < 1_000) account.growing.set(label, { images: [image.slice()], threshold: 0, distances: [] })
    return
  }
  const nearest = Math.sqrt(
    known.images.reduce((least, other) => Math.min(least, squaredBelow(image, other, least)), Number.POSITIVE_INFINITY),
  )
  insert(account, nearest)
  if (nearest <= known.threshold || known.images.length >= maxGrowing) return
  known.images.push(image.slice())
  known.distances.push(nearest)
  const mean = known.distances.reduce((a, b) => a + b, 0) / known.distances.length
  const spread = Math.sqrt(known.distances.reduce((a, b) => a + (b - mean) ** 2, 0) / known.distances.length)
  known.threshold = Math.max(known.threshold, mean - spread)
}

/** Squared distance, or something above `limit` where it is above. */
function squaredBelow(a: Float32Array, b: Float32Array, limit: number): number {
  let sum = 0
  for (let i = 0; i < a.length && sum < limit; i++) sum += ((a[i] as number) - (b[i] as number)) ** 2
  return sum
}

function insert({ sorted, arrived }: Account, value: number): void {
  if (arrived.length >= maxDistances) sorted.splice(placeOf(sorted, arrived.shift() ?? 0), 1)
  arrived.push(value)
  sorted.splice(placeOf(sorted, value), 0, value)
}

/** The first index whose value is not below. */
function placeOf(sorted: readonly number[], value: number): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] ?? 0) < value) low = middle + 1
    else high = middle
  }
  return low
}

/** Within three deviations of the mean, as in the paper. */
function withoutOutliers(sorted: readonly number[]): readonly number[] {
  const mean = sorted.reduce((a, b) => a + b, 0) / sorted.length
  const spread = Math.sqrt(sorted.reduce((a, b) => a + (b - mean) ** 2, 0) / sorted.length)
  return sorted.filter((value) => Math.abs(value - mean) <= 3 * spread)
}
