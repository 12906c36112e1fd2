import type { ModelConfiguration, PoolConfiguration } from '../../inference/configuration.ts'
import { type LimitRule, matcherOf } from '../../limits/rules.ts'
import type { Config } from '../config/schema.ts'
import type { Check, Result } from './check.ts'

/** That each model which a limit by cost is about costs something: else the limit never comes into force. */
export const priceCheck: Check = {
  id: 'prices',
  title: 'Prices',
  run: async ({ config }) => judgePrices(config),
}

export function judgePrices({ limits, pools, models, inference }: Pick<Config, 'limits' | 'pools' | 'models' | 'inference'>): Result {
  const rules = limits.rules.filter(({ measure }) => measure === 'cost')
  if (rules.length === 0) return { status: 'ok', found: 'no limit is by cost' }
  const served = new Map(pools.flatMap((pool) => pool.models.map((model) => [model, pool] as const)))
  const free = [...served].filter(([model, pool]) => costsNothing(models[model], pool, inference.pricePerItem)).map(([model]) => model)
  const about = free.filter((model) => rules.some((rule) => concerns(rule, model)))
  if (about.length === 0) return { status: 'ok', found: `${rules.length} limits by cost, and every model that they are about has a price` }
  return {
    status: 'warn',
    found: `limits by cost do not bind ${about.join(', ')}: it has no price`,
    advice: 'set pricePerTokenIn and pricePerTokenOut under models, or for tensors pricePerItem',
  }
}

/** What is behind an OpenAI upstream, or is a language model here, is paid by tokens; the rest by inputs. */
function costsNothing(model: ModelConfiguration | undefined, pool: PoolConfiguration, pricePerItem: number): boolean {
  const byTokens = (model?.pricePerTokenIn ?? 0) + (model?.pricePerTokenOut ?? 0)
  if (pool.upstream?.protocol === 'openai') return byTokens === 0
  return byTokens === 0 && (model?.pricePerItem ?? pricePerItem) === 0
}

function concerns(rule: LimitRule, model: string): boolean {
  const anyone = { principal: '', organization: '', keyId: null, sharedKey: false, keyCreatedAt: null, risk: 0, newPlace: false }
  return matcherOf({ ...rule, match: { ...rule.match, principal: '*', organization: '*' } })({ ...anyone, model })
}
