import type { Operation, Outcome } from '../../schemas/index.ts'
import type { Exchange } from './exchange.ts'

export interface ModelCount {
  readonly model: string
  readonly operation: Operation
  readonly outcome: Outcome
  requests: number
  tokensIn: number
  tokensOut: number
}

/**
 * Counts of requests by model, operation and outcome, as many as models are served, times some tens: what a client calls a model
 * is `unknown` unless there is one of that name. Kept here and read when somebody looks, since a labelled counter of prom-client
 * costs a microsecond or two each time, and every answer waits for it.
 */
export class ModelTally {
  readonly #models: ReadonlySet<string>
  readonly #counts = new Map<string, Map<Operation, Map<Outcome, ModelCount>>>()

  constructor(models: Iterable<string>) {
    this.#models = new Set(models)
  }

  nameOf({ model }: Pick<Exchange, 'model'>): string {
    return model !== null && this.#models.has(model) ? model : 'unknown'
  }

  add(exchange: Pick<Exchange, 'model' | 'operation' | 'outcome' | 'tokensIn' | 'tokensOut'>): void {
    const { operation, outcome, tokensIn, tokensOut } = exchange
    const model = this.nameOf(exchange)
    const byOperation = within(this.#counts, model, () => new Map<Operation, Map<Outcome, ModelCount>>())
    const byOutcome = within(byOperation, operation, () => new Map<Outcome, ModelCount>())
    const count = within(byOutcome, outcome, () => ({ model, operation, outcome, requests: 0, tokensIn: 0, tokensOut: 0 }))
    count.requests++
    count.tokensIn += tokensIn
    count.tokensOut += tokensOut
  }

  all(): readonly ModelCount[] {
    return [...this.#counts.values()].flatMap((operations) => [...operations.values()].flatMap((outcomes) => [...outcomes.values()]))
  }
}

function within<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key)
  if (known !== undefined) return known
  const made = make()
  map.set(key, made)
  return made
}
