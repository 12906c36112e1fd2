import { z } from 'zod'
import { holdLease, planLeases, releaseLease } from '../leases/hold.ts'
import { DurationMs, defineResponder, numberOf } from '../responder.ts'

const hour = 60 * 60 * 1_000

/** Fewer requests for each window; the node answers the rest with 429 and an honest Retry-After. */
export const throttlePrincipal = defineResponder({
  id: 'throttle-principal',
  summary: 'Limits a principal to some requests for each window; the rest get 429 with Retry-After.',
  params: z.strictObject({
    requests: z.int().min(1).max(100_000).default(1),
    windowMs: z.int().min(1_000).max(hour).default(60_000),
    durationMs: DurationMs,
  }),
  effect: 'restrict',
  permissions: ['leases:grant', 'leases:release'],
  targets: ['principal', 'organization', 'key', 'model'],
  once: false,
  example: { target: 'principal:mallory', parameters: { requests: 1, windowMs: 60_000, durationMs: 600_000 } },
  plan: (incident, { requests, windowMs, durationMs }, now) => planLeases(incident, 'principal', { requests, windowMs }, durationMs, now),
  execute: (action, ports, signal) => holdLease(action, ports, signal),
  revert: releaseLease,
  // The lower rate is the stronger: 1 in 60 s (0.017/s) over 10 in 60 s (0.17/s).
  strongest(held, asked) {
    const rate = (p: typeof held) => numberOf(p, 'requests', Number.POSITIVE_INFINITY) / numberOf(p, 'windowMs', 1)
    return rate(asked) < rate(held) ? asked : held
  },
})
