import type { PolicyContext, PolicyRequest } from '../../policy/port.ts'

/** 2026-06-01T12:00:00Z, a Monday. */
export const noon = 1_780_315_200_000

/** Alice of acme asks `digits` with a key of ten days, but for what is given. */
export function ask(changes: Partial<Omit<PolicyRequest, 'context'>> & { readonly context?: Partial<PolicyContext> } = {}): PolicyRequest {
  const { context, ...rest } = changes
  return {
    principal: 'alice',
    organization: 'acme',
    roles: [],
    method: 'key',
    action: 'infer',
    resource: 'digits',
    ...rest,
    context: {
      now: noon,
      address: '192.0.2.7',
      country: null,
      hour: 12,
      keyAgeDays: 10,
      sensitivity: 'internal',
      owner: null,
      purposes: [],
      purpose: null,
      risk: 0,
      secondFactor: false,
      targetRisk: null,
      ...context,
    },
  }
}
