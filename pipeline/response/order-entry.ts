import type { AuditEntry } from '../../audit/port.ts'
import type { Command, CommandOutcome } from '../../schemas/index.ts'
import { subjectOf } from '../../store/tables.ts'

/** What the audit trail keeps of an order: who ordered what, about what, and what became of it. */
export function orderEntry({ id, by, at, order }: Command, { ok, code }: CommandOutcome): AuditEntry {
  return {
    id,
    at,
    principal: by,
    organization: null,
    keyId: null,
    method: 'order',
    operation: order.kind,
    resource: subjectOf(order),
    version: null,
    input: null,
    prompt: null,
    tokensIn: 0,
    tokensOut: 0,
    cost: 0,
    outcome: ok ? 'done' : (code ?? 'failed'),
    status: ok ? 200 : 409,
    denial: null,
    hardening: 'none',
    lease: order.kind === 'release' ? order.lease : null,
    policy: '',
    policies: [],
  }
}
