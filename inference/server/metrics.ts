import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { Exchange } from './exchange.ts'
import { ModelTally } from './model-tally.ts'

export interface NodeMetrics {
  /** Counts a request that is over. */
  observe(exchange: Exchange): void
  /** Counts a streamed answer as under way, until what it returns is called. */
  stream(): () => void
  unrecorded(): void
  fingerprintFailed(): void
  acknowledged(enforcedAfterMs: number | null): void
  unenforceable(): void
  /** Counts something found in a text, by kind. */
  redacted(direction: 'input' | 'output', kind: string): void
}

/**
 * The node's metrics. Those that name models begin with `cordon_model_`, which open-routes.ts does not tell: which models there
 * are, and what becomes of a model's requests, is for those who have a key to it, and how the whole node fares is for everybody.
 *
 * @param models names of models that are served
 */
export function openNodeMetrics(
  registry: Registry,
  activeLeases: () => ReadonlyMap<string, number>,
  models: Iterable<string>,
): NodeMetrics {
  const registers = [registry]
  const tally = new ModelTally(models)
  tallied(registry, tally)
  const firstToken = new Histogram({
    name: 'cordon_model_first_token_seconds',
    help: 'From the arrival of a request to the first token of its streamed answer',
    labelNames: ['model'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  })
  const streams = new Gauge({ name: 'cordon_streams_active', help: 'Streamed answers under way', registers })
  const duration = new Histogram({
    name: 'cordon_request_duration_seconds',
    help: 'From the arrival of a request to its answer being handed over',
    labelNames: ['outcome'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers,
  })
  const enforcement = new Histogram({
    name: 'cordon_enforcement_delay_seconds',
    help: 'From the arrival of the deciding request to enforcement on this node',
    buckets: [0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 5, 30],
    registers,
  })
  const counter = (name: string, help: string) => new Counter({ name, help, registers })
  const unrecorded = counter('cordon_requests_unrecorded_total', 'Requests without a key that were over the rate of events for them')
  const failures = counter('cordon_fingerprint_failures_total', 'Served inputs that left no fingerprint')
  const unenforceable = counter('cordon_leases_unenforceable_total', 'Active leases that this node cannot enforce')
  const redactions = new Counter({
    name: 'cordon_redactions_total',
    help: 'Personal data, secrets and invisible characters found in texts, by kind',
    labelNames: ['direction', 'kind'],
    registers,
  })
  gaugeOf(registry, activeLeases)
  return {
    observe: (exchange) => {
      const { outcome, durationMs, firstTokenMs } = exchange
      tally.add(exchange)
      duration.observe({ outcome }, durationMs / 1_000)
      if (firstTokenMs !== null) firstToken.observe({ model: tally.nameOf(exchange) }, firstTokenMs / 1_000)
    },
    stream: () => {
      streams.inc()
      return () => streams.dec()
    },
    unrecorded: () => unrecorded.inc(),
    fingerprintFailed: () => failures.inc(),
    acknowledged: (enforcedAfterMs) => {
      if (enforcedAfterMs !== null) enforcement.observe(Math.max(0, enforcedAfterMs) / 1_000)
    },
    unenforceable: () => unenforceable.inc(),
    redacted: (direction, kind) => redactions.inc({ direction, kind }),
  }
}

function tallied(registry: Registry, tally: ModelTally): void {
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[], collect: (counter: Counter<L>) => void) =>
    new Counter({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset()
        collect(this)
      },
    })
  counter('cordon_requests_total', 'Requests that named a model, by how they ended', ['outcome'], (requests) => {
    for (const { outcome, requests: count } of tally.all()) requests.inc({ outcome }, count)
  })
  const perModel = ['model', 'operation', 'outcome'] as const
  counter('cordon_model_requests_total', 'The same by model and operation', perModel, (requests) => {
    for (const { model, operation, outcome, requests: count } of tally.all()) requests.inc({ model, operation, outcome }, count)
  })
  counter('cordon_model_tokens_total', 'Tokens of prompts (in) and answers (out)', ['model', 'operation', 'direction'], (tokens) => {
    for (const { model, operation, tokensIn, tokensOut } of tally.all()) {
      if (operation === 'infer') continue
      tokens.inc({ model, operation, direction: 'in' }, tokensIn)
      tokens.inc({ model, operation, direction: 'out' }, tokensOut)
    }
  })
}

function gaugeOf(registry: Registry, activeLeases: () => ReadonlyMap<string, number>): void {
  registry.registerMetric(
    new Gauge({
      name: 'cordon_leases_active',
      help: 'Containments in force on this node, by action',
      labelNames: ['action'],
      registers: [],
      collect() {
        this.reset()
        for (const [action, count] of activeLeases()) this.set({ action }, count)
      },
    }),
  )
}
