import type { FingerprintEvent, Hardening, Instant, Outcome } from '../../schemas/index.ts'
import type { Fingerprint } from '../port.ts'

/** One request on its way through the node: what its event will say. */
export interface Exchange {
  readonly arrivedAt: Instant
  /** The same moment on the monotonic clock, milliseconds. */
  readonly startedAt: number
  /** Null for a route that names no model: it leaves no event. */
  model: string | null
  principal: string
  organization: string | null
  keyId: string | null
  version: string | null
  pool: string | null
  outcome: Outcome
  hardening: Hardening
  lease: string | null
  items: number
  bytesIn: number
  queueMs: number
  confidence: number | null
  /** The event's id, once something had to name it. */
  id: FingerprintEvent['request'] | undefined
  fingerprints: readonly Fingerprint[]
}

export function newExchange(arrivedAt: Instant, startedAt: number, bytesIn: number): Exchange {
  return {
    arrivedAt,
    startedAt,
    model: null,
    principal: 'anonymous',
    organization: null,
    keyId: null,
    version: null,
    pool: null,
    outcome: 'served',
    hardening: 'none',
    lease: null,
    items: 0,
    bytesIn,
    queueMs: 0,
    confidence: null,
    id: undefined,
    fingerprints: [],
  }
}
