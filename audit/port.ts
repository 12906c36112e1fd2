import type { Denial, Instant, Operation, Outcome } from '../schemas/index.ts'

/** What is kept of one request, or of one thing that a person ordered. */
export interface AuditEntry {
  /** Id of the event that it is about, UUIDv7: what `cordon audit prove` is asked for. */
  readonly id: string
  readonly at: Instant
  readonly principal: string
  readonly organization: string | null
  readonly keyId: string | null
  readonly method: string
  readonly operation: Operation | string
  /** The model, or what an order was about. */
  readonly resource: string
  readonly version: string | null
  /** Of the input: its keyed fingerprint's exact hash; null where there is none. */
  readonly input: string | null
  /** The prompt itself, where the model's configuration has it kept. */
  readonly prompt: string | null
  readonly tokensIn: number
  readonly tokensOut: number
  readonly cost: number
  readonly outcome: Outcome | string
  readonly status: number
  /** Why it was denied; null where it was not, and absent from records that were made before it was written down. */
  readonly denial: Denial | null
  readonly hardening: string
  readonly lease: string | null
  /** Version of the policies that allowed or denied it, and which of them; empty without an engine. */
  readonly policy: string
  readonly policies: readonly string[]
}

/** A tamper-evident trail: each record holds the hash of the one before it, and checkpoints over many are signed. */
export interface AuditTrail {
  /** Chains and hands over; synchronous, and on disk when the caller's spool is flushed. */
  append(entry: AuditEntry): void
}
