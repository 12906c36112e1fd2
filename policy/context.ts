import type { Instant } from '../schemas/index.ts'
import type { CountryOf } from './countries.ts'
import type { PolicyAction, PolicyRequest } from './port.ts'
import type { Risks } from './risks.ts'

/** Who calls, as authentication says it. */
export interface Caller {
  readonly principal: string
  readonly organization: string | null
  readonly method: string
  readonly roles: readonly string[]
  readonly createdAt: Instant | null
  readonly secondFactorAt: Instant | null
}

/** What is asked, of what, from where. */
export interface Asking {
  readonly action: PolicyAction
  readonly resource: string
  /** As configured; null where it is about no model. */
  readonly labels: Labels | null
  readonly address: string
  /** Of `x-cordon-purpose`, as the client wrote it. */
  readonly purpose: string | null
  /** The principal that an administrative action is about; null where it is about none. */
  readonly target: string | null
  readonly now: Instant
}

export interface Labels {
  readonly sensitivity: string
  readonly purposes: readonly string[]
  readonly owner: string | null
}

export interface ContextOptions {
  readonly countryOf: CountryOf | null
  readonly risks: Risks
  /** How long a second factor counts after it was proved. Default 15 min. */
  readonly secondFactorMs?: number
}

const day = 24 * 60 * 60 * 1_000
const hour = 60 * 60 * 1_000
/** How far another's clock may be ahead. */
const skewMs = 60_000
const none: readonly string[] = []
/** How people prove who they are who call no model: a principal of the same name is somebody else, whose risk is not theirs. */
const operators: ReadonlySet<string> = new Set(['account', 'machine'])

/** Makes what a policy decides on out of what is known of a caller and of what it asks for. */
export function policyRequests({ countryOf, risks, secondFactorMs = 15 * 60 * 1_000 }: ContextOptions) {
  return (caller: Caller, { action, resource, labels, address, purpose, target, now }: Asking): PolicyRequest => {
    const { principal, organization, method, roles, createdAt, secondFactorAt } = caller
    const purposes = labels?.purposes ?? none
    return {
      principal,
      organization,
      roles,
      method,
      action,
      resource,
      context: {
        now,
        address,
        country: countryOf?.(address) ?? null,
        hour: Math.floor((now % day) / hour),
        keyAgeDays: createdAt === null ? null : Math.max(0, now - createdAt) / day,
        sensitivity: labels?.sensitivity ?? null,
        owner: labels?.owner ?? null,
        purposes,
        // What the model is not for nobody can have asked it for: a policy must not be told an outsider's words.
        purpose: purpose !== null && purposes.includes(purpose) ? purpose : null,
        risk: operators.has(method) ? 0 : risks.of(principal, now),
        targetRisk: target === null ? null : risks.of(target, now),
        // One that lies ahead counts for nothing: a clock, or a provider, is wrong.
        secondFactor: secondFactorAt !== null && secondFactorAt <= now + skewMs && now - secondFactorAt <= secondFactorMs,
      },
    }
  }
}
