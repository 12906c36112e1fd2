import { z } from 'zod'
import { splitTarget } from '../../schemas/index.ts'
import { holdLease, planLeases } from '../leases/hold.ts'
import { DurationMs, defineResponder, numberOf } from '../responder.ts'

const hour = 60 * 60 * 1_000

/** Takes a stolen key out of use: a successor that only its owner can claim, and the old key dies after an overlap. */
export const rotateKey = defineResponder({
  id: 'rotate-key',
  summary: "Starts a rotation of a principal's keys; the old ones die after an overlap.",
  params: z.strictObject({
    /** How long the old key goes on working, for its owner to change over. */
    overlapMs: z
      .int()
      .min(0)
      .max(24 * hour)
      .default(10 * 60 * 1_000),
    durationMs: DurationMs,
  }),
  effect: 'restrict',
  permissions: ['leases:grant', 'leases:release', 'keys:rotate'],
  targets: ['principal', 'key'],
  once: true,
  example: { target: 'principal:mallory', parameters: { overlapMs: 600_000, durationMs: 3_600_000 } },
  plan: (incident, { overlapMs, durationMs }, now) => planLeases(incident, 'principal', { overlapMs }, durationMs, now),

  /** The lease records that a rotation is under way. The date comes from the plan, so a second execution asks for the same. */
  async execute(action, ports, signal) {
    const held = await holdLease(action, ports, signal)
    if (!held.ok) return held
    const oldDiesAt = action.plannedAt + numberOf(action.parameters, 'overlapMs', 0)
    const keys = await ports.keys.rotate(splitTarget(action.target).id, oldDiesAt)
    return { ok: true, note: `${held.note} Keys with a successor: ${keys.length}.` }
  },

  async revert(action, ports, signal) {
    signal.throwIfAborted()
    await ports.leases.release(`${action.target}/${action.responder}`, action.owner)
    return { ok: false, note: 'The lease is released, but a rotation cannot be undone: its owner claims the new key.' }
  },

  // The shorter overlap is the stronger.
  strongest: (held, asked) =>
    numberOf(asked, 'overlapMs', Number.MAX_VALUE) < numberOf(held, 'overlapMs', Number.MAX_VALUE) ? asked : held,
})
