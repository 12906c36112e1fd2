import { z } from 'zod'
import { Instant, Name, Unit } from './primitives.ts'

/** How the node disposed of a request; one word for each exit of the request path. */
export const Outcome = z.enum([
  'served',
  'unauthenticated', // 401
  'denied', // 403
  'throttled', // 429
  'quarantined', // 503, the pool is contained
  'overloaded', // 503, admission or queue time
  'invalid', // 400, 404, 413, 415, 422
  'failed', // 500
])
export type Outcome = z.infer<typeof Outcome>

export const Hardening = z.enum(['none', 'rounded', 'label-only'])
export type Hardening = z.infer<typeof Hardening>

/** What the node says of one HTTP request to a model. Topic `requests`, keyed by principal. */
export const RequestEvent = z.object({
  /** `anonymous` when the request carried no usable key. */
  principal: Name,
  organization: Name.nullable(),
  keyId: Name.nullable(),
  model: Name,
  /** The version that answered; null when none did. */
  version: Name.nullable(),
  pool: Name.nullable(),
  node: Name,
  outcome: Outcome,
  status: z.int().min(100).max(599),
  hardening: Hardening,
  /** Inputs in the request (the batch dimension). */
  items: z.int().min(0),
  bytesIn: z.int().min(0),
  bytesOut: z.int().min(0),
  /** From the first byte read to the answer handed to the socket. */
  durationMs: z.number().min(0),
  /** Part of it spent waiting for a batch. */
  queueMs: z.number().min(0),
  tokensIn: z.int().min(0),
  tokensOut: z.int().min(0),
  /** Cost in the price table's currency. */
  cost: z.number().min(0),
  /** Keyed hash of the peer's address: equal addresses compare equal, and nobody without the key can invert it. */
  client: z.string().max(64),
  /** Keyed hash of the User-Agent. */
  agent: z.string().max(64),
  answeredAt: Instant,
  /** The lease that refused or hardened it, if one did. */
  lease: z.string().max(300).nullable(),
  /** Set with outcome `served`: mean top-1 confidence of the answers. */
  confidence: Unit.nullable(),
})
export type RequestEvent = z.infer<typeof RequestEvent>
