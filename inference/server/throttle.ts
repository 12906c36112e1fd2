import { LastUsed } from '../../bounded/last-used.ts'
import type { Instant } from '../../schemas/index.ts'
import type { Quota } from './options.ts'

/**
 * A quota as a token bucket, kept as one number (GCRA, ITU-T I.371): the moment at which the bucket will be
 * full again. `requests` tokens fit, and each comes back after windowMs / requests.
 */
export interface Bucket {
  readonly quota: Quota
  fullAt: Instant
}

export type Admission =
  | { readonly ok: true; readonly remaining: number }
  /** `retryMs`: waiting that long is enough. `never`: more than the bucket holds; waiting does not help, splitting does. */
  | { readonly ok: false; readonly retryMs: number; readonly never: boolean }

/** A bucket that holds everything. */
export function fullBucket(quota: Quota, now: Instant): Bucket {
  return { quota, fullAt: now }
}

/**
 * A bucket that was empty at `from`: who is being contained has used its allowance already, so the next request
 * is refused and not the `requests`-th after it.
 */
export function emptyBucket(quota: Quota, from: Instant): Bucket {
  return { quota, fullAt: from + quota.windowMs }
}

/** Whether `items` fit now; takes nothing. */
export function admits(bucket: Bucket, items: number, now: Instant): Admission {
  const { quota } = bucket
  const perItem = quota.windowMs / quota.requests
  // No bucket is emptier than empty: else a clock that is set back by an hour would keep clients out for an hour.
  bucket.fullAt = Math.min(bucket.fullAt, now + quota.windowMs)
  const missing = Math.max(0, bucket.fullAt - now)
  const wanted = Math.min(items, quota.requests)
  const retryMs = Math.ceil(missing + wanted * perItem - quota.windowMs - 1e-6)
  const never = items > quota.requests
  if (never || retryMs > 0) return { ok: false, retryMs: Math.max(0, retryMs), never }
  return { ok: true, remaining: Math.floor((quota.windowMs - missing) / perItem + 1e-6) }
}

/** Takes `items`, which {@link admits} allowed. */
export function take(bucket: Bucket, items: number, now: Instant): void {
  bucket.fullAt = Math.max(bucket.fullAt, now) + (items * bucket.quota.windowMs) / bucket.quota.requests
}

/** Gives `items` back that were taken for what then did not run. */
export function giveBack(bucket: Bucket, items: number): void {
  bucket.fullAt -= (items * bucket.quota.windowMs) / bucket.quota.requests
}

/** Buckets by key, at most `most` of them; the ones unused for longest go first, and those had time to fill. */
export class Buckets {
  readonly #byKey: LastUsed<string, Bucket>
  readonly #make: (now: Instant) => Bucket

  constructor(most: number, make: (now: Instant) => Bucket) {
    this.#byKey = new LastUsed(most)
    this.#make = make
  }

  get size(): number {
    return this.#byKey.size
  }

  of(key: string, now: Instant): Bucket {
    const known = this.#byKey.get(key)
    if (known !== undefined) return known
    const bucket = this.#make(now)
    this.#byKey.set(key, bucket)
    return bucket
  }
}
