import type { AuditEntry } from '../../audit/port.ts'
import type { RequestEvent } from '../../schemas/index.ts'
import type { Exchange } from './exchange.ts'

/** What the audit trail keeps of a request: what its event says, who decided, and of the input its keyed hash. */
export function auditEntry(exchange: Exchange, event: RequestEvent, id: string): AuditEntry {
  const { identity, decision, fingerprints, prompts, keptPrompt } = exchange
  return {
    id,
    at: exchange.arrivedAt,
    principal: event.principal,
    organization: event.organization,
    keyId: event.keyId,
    method: identity?.method ?? 'none',
    operation: event.operation,
    resource: event.model,
    version: event.version,
    input: fingerprints[0]?.exact ?? prompts?.fingerprints[0]?.exact ?? null,
    prompt: keptPrompt,
    tokensIn: event.tokensIn,
    tokensOut: event.tokensOut,
    cost: event.cost,
    outcome: event.outcome,
    status: event.status,
    denial: event.denial,
    hardening: event.hardening,
    lease: event.lease,
    policy: decision?.version ?? '',
    policies: decision?.policies ?? [],
  }
}
