import { z } from 'zod'
import { Name, splitTarget } from '../../schemas/index.ts'
import { holdLease, planLeases, releaseLease } from '../leases/hold.ts'
import { DurationMs, defineResponder, latest } from '../responder.ts'

/** Serves an earlier version under a model's bare name while the lease lasts. */
export const rollbackModel = defineResponder({
  id: 'rollback-model',
  summary: "Points a model's name at its last good version, or at the version given.",
  params: z.strictObject({
    /** Null: the newest good version before the current one, looked up when it acts. */
    version: Name.nullable().default(null),
    durationMs: DurationMs,
  }),
  effect: 'restrict',
  permissions: ['leases:grant', 'leases:release', 'models:read'],
  targets: ['model'],
  once: false,
  example: { target: 'model:digits', parameters: { version: null, durationMs: 86_400_000 } },
  plan: (incident, { version, durationMs }, now) => planLeases(incident, 'model', { version }, durationMs, now),

  async execute(action, ports, signal) {
    signal.throwIfAborted()
    const asked = action.parameters['version']
    const version = typeof asked === 'string' ? asked : await ports.models.lastGood(splitTarget(action.target).id)
    if (version === null) return { ok: false, note: 'There is no good version before the current one to roll back to.' }
    const held = await holdLease(action, ports, signal, { version })
    return held.ok ? { ok: true, note: `${held.note} Serving version ${version}.` } : held
  },

  revert: releaseLease,
  strongest: latest,
})
