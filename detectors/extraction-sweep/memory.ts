import type { EventOf } from '../../schemas/index.ts'
import { decodeSketch, remainderDimensions } from '../statistics/sketch.ts'
import type { Remembered, State } from './state.ts'

/** Queries remembered for each principal: 120 of some 120 bytes. */
export const capacity = { recent: 16, sample: 104, seen: 32 } as const
/** Coordinates of the remainder that are kept; with fewer, distances are too rough. */
const keptRemainder = 32

type Data = EventOf<'fingerprint'>['data']

export interface Nearest {
  readonly entry: Remembered
  /** L2, input units. */
  readonly distance: number
}

/** Vectors of remembered queries, decoded once; derived from the state, so no part of it. */
const decoded = new WeakMap<Remembered, Float32Array>()

export function hashOf(data: Data): number {
  return Number.parseInt(data.exact.slice(0, 8), 16) || 0
}

/**
 * Coordinates in input units: the principal ones, and half of the projections of the remainder, scaled so that
 * lengths still estimate lengths.
 */
export function coordinates(data: Data): Float32Array {
  const steps = decodeSketch(data.sketch)
  const principal = Math.max(0, steps.length - remainderDimensions)
  const values = new Float32Array(Math.min(steps.length, principal + keptRemainder))
  const remainder = data.scale * Math.sqrt(remainderDimensions / keptRemainder)
  for (let i = 0; i < values.length; i++) values[i] = (steps[i] as number) * (i < principal ? data.scale : remainder)
  return values
}

export function isRepeat(state: State, hash: number): boolean {
  if (state.seen.includes(hash)) return true
  for (const entry of state.sample) if (entry[0] === hash) return true
  return false
}

/** The nearest of the recent queries, whatever its answer; whether it is the last one; and the lower quartile of the distances to them all. */
export function amongRecent(
  recent: readonly Remembered[],
  values: Float32Array,
): (Nearest & { readonly last: boolean; readonly quartile: number }) | null {
  const distances = recent.map((entry) => squaredDistance(vectorOf(entry), values, Number.POSITIVE_INFINITY))
  let best = 0
  for (let i = 1; i < distances.length; i++) if ((distances[i] as number) < (distances[best] as number)) best = i
  const entry = recent[best]
  if (entry === undefined) return null
  const distance = Math.sqrt(distances[best] as number)
  distances.sort((a, b) => a - b)
  return { entry, distance, last: best === recent.length - 1, quartile: Math.sqrt(distances[distances.length >> 2] as number) }
}

/** The nearest of these earlier queries with the same answer. */
export function nearest(entries: readonly Remembered[], values: Float32Array, label: number): Nearest | null {
  let best: Remembered | null = null
  let least = Number.POSITIVE_INFINITY
  for (const entry of entries) {
    if (entry[1] !== label) continue
    const squared = squaredDistance(vectorOf(entry), values, least)
    if (squared < least) {
      least = squared
      best = entry
    }
  }
  return best === null ? null : { entry: best, distance: Math.sqrt(least) }
}

export function vectorOf(entry: Remembered): Float32Array {
  const known = decoded.get(entry)
  if (known !== undefined) return known
  const bytes = atob(entry[4])
  const values = new Float32Array(bytes.length)
  for (let i = 0; i < values.length; i++) values[i] = ((bytes.charCodeAt(i) << 24) >> 24) * entry[5]
  decoded.set(entry, values)
  return values
}

/** Gives up as soon as the sum exceeds `bound`. */
export function squaredDistance(a: Float32Array, b: Float32Array, bound: number): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY
  let sum = 0
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] as number) - (b[i] as number)
    sum += difference * difference
    if (sum >= bound) return sum
  }
  return sum
}

export interface Query {
  readonly hash: number
  readonly label: number
  readonly chain: number
  /** A further step of its chain, which was counted already. */
  readonly marked: boolean
}

/** Remembers a query: first among the recent; the one that falls out there may enter the sample. */
export function remember(state: State, query: Query, values: Float32Array): Remembered {
  let top = 0
  for (let i = 0; i < values.length; i++) top = Math.max(top, Math.abs(values[i] as number))
  // Rounded up to five decimals, so that the largest value still fits and the snapshot stays short.
  const step = Math.ceil((top / 127) * 1e5) / 1e5
  const bytes = new Int8Array(values.length)
  const kept = new Float32Array(values.length)
  for (let i = 0; i < bytes.length; i++) {
    const steps = step > 0 ? Math.round((values[i] as number) / step) : 0
    bytes[i] = steps
    kept[i] = steps * step
  }
  const entry: Remembered = [
    query.hash,
    query.label,
    query.chain,
    query.marked ? 1 : 0,
    btoa(String.fromCharCode(...new Uint8Array(bytes.buffer))),
    step,
  ]
  decoded.set(entry, kept)
  state.recent.push(entry)
  state.seen.push(query.hash)
  if (state.seen.length > capacity.seen) state.seen.shift()
  if (state.recent.length <= capacity.recent) return entry
  const oldest = state.recent.shift()
  if (oldest !== undefined) keep(state.sample, oldest)
  return entry
}

/** The entries with the smallest hashes: a uniform sample of all distinct queries that needs no random numbers. */
function keep(sample: Remembered[], entry: Remembered): void {
  if (sample.length < capacity.sample) {
    sample.push(entry)
    return
  }
  let largest = 0
  let most = -1
  for (let i = 0; i < sample.length; i++) {
    const hash = sample[i]?.[0] ?? 0
    if (hash > most) {
      most = hash
      largest = i
    }
  }
  if (entry[0] < most) sample[largest] = entry
}

export function forget(state: State): void {
  state.recent = []
  state.sample = []
  state.seen = []
  state.head = null
}
