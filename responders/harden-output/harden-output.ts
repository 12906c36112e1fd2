import { z } from 'zod'
import { holdLease, planLeases, releaseLease } from '../leases/hold.ts'
import { DurationMs, defineResponder, numberOf } from '../responder.ts'

const levels = ['rounded', 'label-only'] as const

/** Tells less with every answer: probabilities rounded, or the label alone. Decision-based attacks still see labels. */
export const hardenOutput = defineResponder({
  id: 'harden-output',
  summary: 'Rounds the probabilities that a principal gets, or answers with the label alone.',
  params: z.strictObject({
    level: z.enum(levels).default('label-only'),
    /** Decimals that stay at level `rounded`. */
    decimals: z.int().min(0).max(6).default(1),
    durationMs: DurationMs,
  }),
  effect: 'degrade',
  permissions: ['leases:grant', 'leases:release'],
  targets: ['principal', 'organization', 'key', 'model'],
  once: false,
  example: { target: 'principal:mallory', parameters: { level: 'rounded', decimals: 1, durationMs: 1_800_000 } },
  plan: (incident, { level, decimals, durationMs }, now) => planLeases(incident, 'principal', { level, decimals }, durationMs, now),
  execute: (action, ports, signal) => holdLease(action, ports, signal),
  revert: releaseLease,
  strongest(held, asked) {
    const level = held['level'] === 'label-only' ? held['level'] : (asked['level'] ?? held['level'] ?? 'rounded')
    return { level, decimals: Math.min(numberOf(held, 'decimals', 6), numberOf(asked, 'decimals', 6)) }
  },
})
