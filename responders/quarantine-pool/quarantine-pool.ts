import { z } from 'zod'
import { holdLease, planLeases, releaseLease } from '../leases/hold.ts'
import { DurationMs, defineResponder, latest } from '../responder.ts'

/** Takes a pool of nodes out of service: what runs finishes, new requests get 503 or go to another pool. */
export const quarantinePool = defineResponder({
  id: 'quarantine-pool',
  summary: 'Drains a pool; new requests to it get 503 while other pools go on.',
  params: z.strictObject({ durationMs: DurationMs }),
  effect: 'block',
  permissions: ['leases:grant', 'leases:release'],
  targets: ['pool'],
  once: false,
  example: { target: 'pool:b', parameters: { durationMs: 1_800_000 } },
  plan: (incident, { durationMs }, now) => planLeases(incident, 'pool', {}, durationMs, now),
  execute: (action, ports, signal) => holdLease(action, ports, signal),
  revert: releaseLease,
  strongest: latest,
})
