import { z } from 'zod'
import { holdLease, planLeases, releaseLease } from '../leases/hold.ts'
import { DurationMs, defineResponder, latest } from '../responder.ts'

/** Refuses every request of a principal with 403, without saying why. */
export const denyPrincipal = defineResponder({
  id: 'deny-principal',
  summary: 'Refuses every request of a principal with 403.',
  params: z.strictObject({ durationMs: DurationMs }),
  effect: 'block',
  permissions: ['leases:grant', 'leases:release'],
  targets: ['principal', 'organization', 'key'],
  once: false,
  example: { target: 'principal:mallory', parameters: { durationMs: 3_600_000 } },
  plan: (incident, { durationMs }, now) => planLeases(incident, 'principal', {}, durationMs, now),
  execute: (action, ports, signal) => holdLease(action, ports, signal),
  revert: releaseLease,
  strongest: latest,
})
