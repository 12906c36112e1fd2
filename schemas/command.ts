import { z } from 'zod'
import { Parameters } from './action.ts'
import { Key } from './key.ts'
import { EventId, Instant, Name, Target, Text } from './primitives.ts'

const lease = z.string().max(300)
const action = z.string().regex(/^[0-9a-f]{32}$/)
/** A key's id or a principal. */
const keyOrPrincipal = z.string().min(1).max(128)

/** What a person can ask for. One of the kinds of {@link Command}. */
export const Order = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('contain'), target: Target, action: Name, parameters: Parameters, forMs: z.int().min(1), reason: Text }),
  z.object({ kind: z.literal('release'), lease }),
  z.object({ kind: z.literal('approve'), action }),
  z.object({ kind: z.literal('decline'), action }),
  /** The secret was made where it is shown; only its hash travels. */
  z.object({ kind: z.literal('create-key'), key: Key }),
  z.object({ kind: z.literal('revoke-key'), keyId: z.string().max(64) }),
  z.object({ kind: z.literal('rotate-key'), what: keyOrPrincipal, overlapMs: z.int().min(0) }),
  z.object({ kind: z.literal('claim-key'), what: keyOrPrincipal, hash: z.string().regex(/^[0-9a-f]{64}$/) }),
  /** Serves a version under the model's bare name from now on; with `good`, marks it good before. */
  z.object({ kind: z.literal('promote-model'), model: Name, version: Name, good: z.boolean() }),
  /** Publishes the record of a dead letter again, where it still is on its topic. Carried out by `ingest`. */
  z.object({ kind: z.literal('replay-dead-letter'), letter: EventId }),
])
export type Order = z.infer<typeof Order>

/**
 * A person's order to the control plane. Topic `commands`, keyed by id. The console writes it; one process of the role
 * that carries it out answers on `outcomes`. Delivered twice, it is carried out once.
 */
export const Command = z.object({
  id: EventId,
  /** The person. */
  by: z.string().min(1).max(128),
  at: Instant,
  /** Not carried out after this: what was ordered in vain must not happen hours later. */
  expiresAt: Instant,
  order: Order,
})
export type Command = z.infer<typeof Command>

/** What became of a command. Topic `outcomes`, keyed by command. */
export const CommandOutcome = z.object({
  command: EventId,
  ok: z.boolean(),
  /** A CordonError's code and words; null when it was done. */
  code: z.string().max(64).nullable(),
  error: Text.nullable(),
  /** What the order makes, in JSON; null where it failed or found nothing. */
  result: z.json(),
  at: Instant,
})
export type CommandOutcome = z.infer<typeof CommandOutcome>
