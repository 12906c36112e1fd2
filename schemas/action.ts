import { z } from 'zod'
import { Instant, Name, Target, Text } from './primitives.ts'

export const Effect = z.enum(['notify', 'degrade', 'restrict', 'block'])
export type Effect = z.infer<typeof Effect>

export const ActionState = z.enum([
  'planned',
  'executed',
  'awaiting-approval', // the guard wants a person
  'would-have', // the guard refused; recorded as what would have been done
  'failed',
  'reverted',
])
export type ActionState = z.infer<typeof ActionState>

/** Responder-specific settings of an action or a lease; each responder parses its own. */
export const Parameters = z.record(z.string().max(64), z.union([z.number(), z.string().max(512), z.boolean(), z.null()]))
export type Parameters = z.infer<typeof Parameters>

/** What a responder was asked to do about an incident. Topic `actions`, keyed by target. */
export const Action = z.object({
  /** Hash of incident, responder, target and degree: planning twice is acting once. */
  id: z.string().regex(/^[0-9a-f]{32}$/),
  incident: z.string().max(64).nullable(),
  responder: Name,
  effect: Effect,
  target: Target,
  parameters: Parameters,
  reason: Text,
  /** `playbook:<id>` or `person:<name>`. */
  owner: z.string().max(160),
  state: ActionState,
  plannedAt: Instant,
  /** When the effect is to end by itself. */
  until: Instant,
  /** Why it stands in this state: the guard's reason, or the error. */
  note: Text,
  /** Arrival of the request (or flow) that decided it; null when a person did. */
  decidedAt: Instant.nullable(),
})
export type Action = z.infer<typeof Action>
