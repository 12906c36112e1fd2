import type { Usage } from '../../limits/port.ts'
import type { Exchange } from './exchange.ts'
import type { NodeOptions } from './options.ts'

type Priced = Pick<NodeOptions, 'configurationOf' | 'prices'>

/** What a request costs, in the price table's currency. What ran is paid for, also where the client did not wait for all of it. */
export function costOf({ model, outcome, items, operation, tokensIn, tokensOut }: Exchange, { configurationOf, prices }: Priced): number {
  if (model === null || (outcome !== 'served' && outcome !== 'aborted')) return 0
  const { pricePerItem, pricePerTokenIn, pricePerTokenOut } = configurationOf(model)
  const perItem = operation === 'infer' && outcome === 'served' ? items * (pricePerItem ?? prices.perItem) : 0
  return perItem + tokensIn * pricePerTokenIn + tokensOut * pricePerTokenOut
}

/**
 * Most that a request can come to, before it runs: each byte of it may be a token, and each answer may be as long as was asked for, or
 * as the model's configuration allows.
 */
export function mostOf({ model, items, operation, bytesIn, sampling }: Exchange, { configurationOf, prices }: Priced): Usage {
  if (model === null) return { requests: items, tokens: 0, cost: 0 }
  const { pricePerItem, pricePerTokenIn, pricePerTokenOut, text } = configurationOf(model)
  if (operation === 'infer') return { requests: items, tokens: 0, cost: items * (pricePerItem ?? prices.perItem) }
  const out = operation === 'embedding' ? 0 : items * (sampling?.maxTokens ?? text.maxTokens)
  return { requests: items, tokens: bytesIn + out, cost: bytesIn * pricePerTokenIn + out * pricePerTokenOut }
}
