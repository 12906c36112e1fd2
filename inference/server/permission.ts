import type { PolicyDecision, PolicyEngine, PolicyRequest } from '../../policy/port.ts'
import type { Denial } from '../../schemas/index.ts'
import type { Exchange } from './exchange.ts'
import { Refusal } from './refusal.ts'

/** What the node asks before a model runs for somebody. */
export interface Permission {
  readonly engine: PolicyEngine
  /** @param exchange whose identity and model are known */
  requestOf(exchange: Exchange): PolicyRequest
}

/**
 * Asks whether the caller may; synchronous where the engine is.
 *
 * @throws Refusal `DENIED`, whatever forbids it; which policy did is recorded and never told
 */
export function permit(permission: Permission, exchange: Exchange): void | Promise<void> {
  const decision = permission.engine.decide(permission.requestOf(exchange))
  if (decision instanceof Promise) return decision.then((decided) => settle(exchange, decided))
  return settle(exchange, decision)
}

function settle(exchange: Exchange, decision: PolicyDecision): void {
  exchange.decision = decision
  if (!decision.allowed) throw new Refusal('DENIED', 'This is not permitted.')
}

/** Why it was denied, for its event and the operator; a client is told none of it. Null where it was not. */
export function denialOf({ outcome, lease, decision }: Exchange): Denial | null {
  if (outcome !== 'denied') return null
  if (lease !== null) return 'lease'
  if (decision === null || decision.allowed) return 'capability'
  return decision.errors.length > 0 ? 'undecided' : 'policy'
}
