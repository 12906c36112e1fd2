import type { Payer } from '../../limits/port.ts'
import { LimitRule } from '../../limits/rules.ts'

/** A caller of whom nothing is suspicious. */
export function payer(over: Partial<Payer> = {}): Payer {
  const nothing = { organization: null, keyId: null, sharedKey: false, keyCreatedAt: null, risk: 0, newPlace: false }
  return { principal: 'alice', model: 'digits', ...nothing, ...over }
}

/** A cost ceiling for each principal and hour, unless said otherwise. */
export function rule(over: Record<string, unknown> = {}): LimitRule {
  const length = 'calendar' in over ? {} : { windowMs: 3_600_000 }
  return LimitRule.parse({ name: 'budget', measure: 'cost', amount: 1_000, ...length, ...over })
}
