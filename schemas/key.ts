import { z } from 'zod'
import { Instant, Name } from './primitives.ts'

export const KeyState = z.enum(['active', 'pending', 'revoked'])

/**
 * An API key, hashed. Compacted topic `keys`, keyed by id. A key is written `cordon_<id>_<secret>`; the
 * secret has 256 random bits, so a plain SHA-256 of it is as strong as the key.
 *
 * Rotation makes a successor in state `pending`, whose secret does not exist until its owner claims it, and
 * sets `expiresAt` on the old one.
 */
export const Key = z.object({
  id: z.string().regex(/^[0-9a-z]{12}$/),
  principal: Name,
  organization: Name.nullable(),
  /** SHA-256 of the secret, hex; null while pending. */
  hash: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .nullable(),
  state: KeyState,
  createdAt: Instant,
  expiresAt: Instant.nullable(),
  revokedAt: Instant.nullable(),
  /** The key that this one succeeds. */
  replaces: z.string().nullable(),
})
export type Key = z.infer<typeof Key>
