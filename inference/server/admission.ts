import type { Instant } from '../../schemas/index.ts'
import type { Quota } from './options.ts'
import { Refusal } from './refusal.ts'
import { admits, type Bucket, take } from './throttle.ts'

/** A quota that stands over a request; `lease` is null for the ordinary one. */
export interface Limit {
  readonly bucket: Bucket
  readonly lease: string | null
}

/** One name for every quota, so that a contained client and a busy one read the same. */
const policy = 'peruser'

/**
 * Takes `items` from every limit, or from none.
 *
 * @returns the headers that tell a client what is left; none without a limit
 * @throws Refusal `THROTTLED`, with the time after which the same request is admitted
 */
export function admit(limits: readonly Limit[], items: number, now: Instant): Readonly<Record<string, string>> {
  const tightest = tightestOf(limits, items, now)
  if (tightest === undefined) return {}
  for (const { bucket } of limits) take(bucket, items, now)
  const seconds = Math.ceil(Math.max(0, tightest.bucket.fullAt - now) / 1_000)
  return quotaHeaders(tightest.bucket.quota, Math.max(0, tightest.remaining - items), seconds)
}

/** Refuses what cannot be admitted whatever its body says: not even one item fits. Takes nothing. */
export function precheck(limits: readonly Limit[], now: Instant): void {
  tightestOf(limits, 1, now)
}

function tightestOf(limits: readonly Limit[], items: number, now: Instant): { bucket: Bucket; remaining: number } | undefined {
  let tightest: { bucket: Bucket; remaining: number } | undefined
  let refused: { limit: Limit; retryMs: number; never: boolean } | undefined
  for (const limit of limits) {
    const admission = admits(limit.bucket, items, now)
    if (!admission.ok) {
      if (refused === undefined || rankOf(admission) > rankOf(refused)) refused = { limit, ...admission }
    } else if (tightest === undefined || admission.remaining < tightest.remaining)
      tightest = { bucket: limit.bucket, remaining: admission.remaining }
  }
  if (refused !== undefined) throw throttled(refused.limit, refused.retryMs, refused.never)
  return tightest
}

/** Which refusal is told: what never fits before the longest wait, which would be in vain. */
function rankOf({ retryMs, never }: { readonly retryMs: number; readonly never: boolean }): number {
  return never ? Number.POSITIVE_INFINITY : retryMs
}

function throttled({ bucket: { quota }, lease }: Limit, retryMs: number, never: boolean): Refusal {
  const seconds = Math.max(1, Math.ceil(retryMs / 1_000))
  const message = never
    ? `The quota is ${quota.requests} inputs each ${quota.windowMs / 1_000} s: send fewer in one request.`
    : `The quota of ${quota.requests} inputs each ${quota.windowMs / 1_000} s is used up: try again in ${seconds} s.`
  return new Refusal('THROTTLED', message, {
    headers: { 'retry-after': String(seconds), ...quotaHeaders(quota, 0, seconds) },
    policies: [policy],
    ...(lease === null ? {} : { lease }),
  })
}

/** draft-ietf-httpapi-ratelimit-headers; windows are whole seconds there. */
function quotaHeaders({ requests, windowMs }: Quota, remaining: number, seconds: number): Record<string, string> {
  return {
    'ratelimit-policy': `"${policy}";q=${Math.floor(requests)};qu="requests";w=${Math.ceil(windowMs / 1_000)}`,
    ratelimit: `"${policy}";r=${remaining};t=${seconds}`,
  }
}
