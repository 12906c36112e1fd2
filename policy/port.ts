import type { Instant, Operation } from '../schemas/index.ts'

/** What a policy decides on: who wants to do what with which model, under what circumstances. */
export interface PolicyRequest {
  readonly principal: string
  readonly organization: string | null
  readonly roles: readonly string[]
  /** Who proved how. */
  readonly method: string
  readonly action: PolicyAction
  /** The model's name, or what an administrative action is about. */
  readonly resource: string
  readonly context: PolicyContext
}

/** What is done to Cordon itself; the others are asked of a model. */
export const administrativeActions = ['promote', 'rotate-key', 'create-key', 'revoke-key', 'release', 'contain', 'change-policy'] as const
export type AdministrativeAction = (typeof administrativeActions)[number]
export type PolicyAction = Operation | AdministrativeAction

export interface PolicyContext {
  readonly now: Instant
  readonly address: string
  /** ISO 3166-1 alpha-2; null without a database, or where that does not know. */
  readonly country: string | null
  /** Of the day, 0 to 23, UTC. */
  readonly hour: number
  /** Null where the credential does not say. */
  readonly keyAgeDays: number | null
  /** Of the model, as configured. */
  readonly sensitivity: string | null
  /** Organization that answers for the model, as configured. */
  readonly owner: string | null
  /** What the model may be asked for; empty is anything. */
  readonly purposes: readonly string[]
  /** What the client says that it asks for, of those that the model is for; null where it says nothing. */
  readonly purpose: string | null
  /** 0 to 1: the most confident finding about the principal that has not faded. */
  readonly risk: number
  /** The same of the principal that an administrative action is about; null where it is about none, and of what is asked of a model. */
  readonly targetRisk: number | null
  readonly secondFactor: boolean
}

export interface PolicyDecision {
  readonly allowed: boolean
  /** Policies that decided: those that permit, or those that forbid; empty where none permits. */
  readonly policies: readonly string[]
  /** Digest of the policies in force, first 16 hex digits of the SHA-256. */
  readonly version: string
  /** Policies that could not be evaluated; then nothing is allowed. */
  readonly errors: readonly string[]
  /** Microseconds. */
  readonly tookMicros: number
  /** Of the engine's own decision log, where it keeps one. */
  readonly decisionId?: string
}

/** Decides whether a caller may. Fails closed: what cannot be decided is not allowed, and `errors` says why. */
export interface PolicyEngine {
  readonly version: string
  /** Synchronous where the engine runs in this process. */
  decide(request: PolicyRequest): PolicyDecision | Promise<PolicyDecision>
}
