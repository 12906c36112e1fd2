import type { z } from 'zod'
import type { Action, Containment, Effect, Finding, Incident, Instant, Target } from '../schemas/index.ts'

/**
 * A responder: what it does about an incident. `plan` is pure, so a dry run is showing the plan; `execute` and
 * `revert` act through ports only.
 */
export interface ResponderDefinition<P extends z.ZodType = z.ZodType> {
  readonly id: string
  readonly summary: string
  readonly params: P
  readonly effect: Effect
  /** Least privilege: what its ports are asked for. */
  readonly permissions: readonly string[]
  /**
   * One action for each target it applies to; none when it has nothing to act on.
   *
   * @param finding that asks for it, whose evidence may say where to act; null without one
   */
  plan(incident: Incident, params: z.infer<P>, now: Instant, finding: Finding | null): readonly PlannedAction[]
  execute(action: Action, ports: ResponderPorts, signal: AbortSignal): Promise<Outcome>
  /** Undo before expiry. A lease that runs out needs no undo: enforcement ends with it. */
  revert?(action: Action, ports: ResponderPorts, signal: AbortSignal): Promise<Outcome>
}

export interface PlannedAction {
  readonly target: Target
  readonly parameters: Action['parameters']
  readonly reason: string
  readonly until: Instant
}

export interface Outcome {
  readonly ok: boolean
  readonly note: string
}

/** The effects that responders have. Wired in cli/, faked in tests. */
export interface ResponderPorts {
  readonly leases: {
    /** Grants or extends the lease of target and action; resolves when it is durable on the log. */
    grant(request: LeaseRequest): Promise<Containment>
    release(id: string, by: string): Promise<Containment | null>
  }
  readonly keys: {
    /** Starts a rotation of every active key of the principal: a pending successor each, the old one dies at `oldDiesAt`. */
    rotate(principal: string, oldDiesAt: Instant): Promise<readonly string[]>
  }
  readonly models: {
    /** The newest good version before the one that is current; null when there is none. */
    lastGood(model: string): Promise<string | null>
  }
}

export interface LeaseRequest {
  readonly target: Target
  readonly action: string
  readonly parameters: Action['parameters']
  readonly reason: string
  readonly owner: string
  readonly incident: string | null
  readonly until: Instant
  readonly decidedAt: Instant | null
}
