import { z } from 'zod'
import { Parameters } from './action.ts'
import { Instant, Name, Target, Text } from './primitives.ts'

export const LeaseState = z.enum(['active', 'released', 'expired'])
export type LeaseState = z.infer<typeof LeaseState>

/**
 * A containment is a lease. Compacted topic `containments`, keyed by id, so one lease for each target and
 * action. `active` is a claim bounded by `until`: whoever enforces compares the clock and needs nobody's
 * word that it ended.
 */
export const Containment = z.object({
  /** `<target>/<action>`. */
  id: z.string().max(300),
  target: Target,
  /** A responder's id. */
  action: Name,
  parameters: Parameters,
  reason: Text,
  owner: z.string().max(160),
  incident: z.string().max(64).nullable(),
  from: Instant,
  until: Instant,
  state: LeaseState,
  /** Counts changes of this lease; a reader keeps the highest. */
  revision: z.int().min(0),
  endedAt: Instant.nullable(),
  endedBy: z.string().max(160).nullable(),
  /** Arrival of the request (or flow) that decided it; null when a person did. */
  decidedAt: Instant.nullable(),
})
export type Containment = z.infer<typeof Containment>

/** A node says that it enforces a lease's revision. Topic `acknowledgements`, keyed by lease id. */
export const Acknowledgement = z.object({
  lease: z.string().max(300),
  revision: z.int().min(0),
  node: Name,
  at: Instant,
  /** `at` minus the lease's `decidedAt`, null without one. */
  enforcedAfterMs: z.number().nullable(),
})
export type Acknowledgement = z.infer<typeof Acknowledgement>

export function leaseId(target: Target, action: string): string {
  return `${target}/${action}`
}
