import { z } from 'zod'
import { Instant, Name } from './primitives.ts'

/** What a credential may be used for; one never implies another. */
export const Capability = z.enum(['inference', 'administration', 'promotion'])
export type Capability = z.infer<typeof Capability>

/** `https://app.example.com`, as browsers write it: no path, no default port, lower case. */
const Origin = z
  .string()
  .max(256)
  .refine(
    (text) => URL.canParse(text) && new URL(text).origin === text && text !== 'null',
    'write an origin as https://app.example.com, without a path',
  )

/** An address, or a network such as `10.0.0.0/8`. */
const Network = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], 'expected an address, or a network such as 10.0.0.0/8')

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
  /** Where it may be used from; empty for anywhere. */
  addresses: z.array(Network).max(64).default([]),
  /** Pages that a browser may use it from; empty for any, and for no browser at all. */
  origins: z.array(Origin).max(64).default([]),
  roles: z.array(Name).max(64).default([]),
  capabilities: z.array(Capability).max(8).default(['inference']),
})
export type Key = z.infer<typeof Key>
