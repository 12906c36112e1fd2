import { type Attributes, type HrTime, ValueType } from '@opentelemetry/api'
import type { InstrumentationScope } from '@opentelemetry/core'
import type { Resource } from '@opentelemetry/resources'
import {
  AggregationTemporality,
  type CollectionResult,
  DataPointType,
  type MetricData,
  type MetricProducer,
} from '@opentelemetry/sdk-metrics'
import type { Instant, Operation, Outcome } from '../../schemas/index.ts'
import type { Exchange } from '../server/exchange.ts'
import { Distribution } from './distribution.ts'
import { timeOf } from './hr-time.ts'
import { errorTypeOf, modelNameOf, operationNameOf, provider } from './terms.ts'

interface Instrument {
  readonly name: string
  readonly description: string
  readonly unit: string
  readonly bounds: readonly number[]
}

/** The conventions' metrics of a server of models, with the buckets that they recommend. */
const instruments = {
  duration: {
    name: 'gen_ai.server.request.duration',
    description: 'From the arrival of a request to the end of its answer',
    unit: 's',
    bounds: [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92],
  },
  firstToken: {
    name: 'gen_ai.server.time_to_first_token',
    description: 'To the first token of a streamed answer',
    unit: 's',
    bounds: [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
  },
  perToken: {
    name: 'gen_ai.server.time_per_output_token',
    description: 'For each token after the first one',
    unit: 's',
    bounds: [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5],
  },
  tokens: {
    name: 'gen_ai.client.token.usage',
    description: 'Tokens of prompts and of answers',
    unit: '{token}',
    bounds: Array.from({ length: 14 }, (_, i) => 4 ** i),
  },
} as const satisfies Record<string, Instrument>

type InstrumentName = keyof typeof instruments

interface Series {
  readonly instrument: InstrumentName
  readonly attributes: Attributes
  readonly values: Distribution
}

/** What one kind of request adds to; made when first needed. */
interface Cell {
  readonly duration: Distribution
  readonly firstToken: Distribution | undefined
  readonly perToken: Distribution | undefined
  readonly tokensIn: Distribution | undefined
  readonly tokensOut: Distribution | undefined
}

export interface MeasuresOptions {
  readonly resource: Resource
  readonly scope: InstrumentationScope
  /** Names of models that are served; any other is `unknown`. */
  readonly models: ReadonlySet<string>
  readonly clock: () => Instant
}

/**
 * Metrics by model, operation and how requests ended, never by who asks: so there are as many as models are configured, times
 * some tens. They are added up here and read by the SDK when it exports, since its own instruments cost 6 µs a value and a
 * generation has five.
 */
export class Measures implements MetricProducer {
  readonly #options: MeasuresOptions
  readonly #since: HrTime
  readonly #series: Series[] = []
  readonly #cells = new Map<string, Map<Operation, Map<Outcome, Cell>>>()

  constructor(options: MeasuresOptions) {
    this.#options = options
    this.#since = timeOf(options.clock())
  }

  /** Adds a request that is over. */
  add(exchange: Exchange): void {
    const { durationMs, firstTokenMs, tokensIn, tokensOut, tokenCount, outcome } = exchange
    const cell = this.#cellOf(exchange)
    cell.duration.add(durationMs / 1_000)
    if (firstTokenMs !== null) {
      cell.firstToken?.add(firstTokenMs / 1_000)
      if (outcome === 'served' && tokensOut > 1) cell.perToken?.add(Math.max(0, durationMs - firstTokenMs) / (tokensOut - 1) / 1_000)
    }
    if (tokenCount === 'none') return
    cell.tokensIn?.add(tokensIn)
    cell.tokensOut?.add(tokensOut)
  }

  async collect(): Promise<CollectionResult> {
    const { resource, scope, clock } = this.#options
    const now = timeOf(clock())
    const names: InstrumentName[] = ['duration', 'firstToken', 'perToken', 'tokens']
    const metrics = names.flatMap((name) => {
      const dataPoints = this.#series.flatMap(({ instrument, attributes, values }) =>
        instrument === name && values.count > 0 ? [pointOf(attributes, values, this.#since, now)] : [],
      )
      return dataPoints.length === 0 ? [] : [metricOf(name, dataPoints)]
    })
    return { resourceMetrics: { resource, scopeMetrics: metrics.length === 0 ? [] : [{ scope, metrics }] }, errors: [] }
  }

  #cellOf(exchange: Exchange): Cell {
    const model = modelNameOf(exchange, this.#options.models)
    const { operation, outcome } = exchange
    const byOperation = this.#cells.get(model) ?? new Map<Operation, Map<Outcome, Cell>>()
    if (byOperation.size === 0) this.#cells.set(model, byOperation)
    const byOutcome = byOperation.get(operation) ?? new Map<Outcome, Cell>()
    if (byOutcome.size === 0) byOperation.set(operation, byOutcome)
    const known = byOutcome.get(outcome)
    if (known !== undefined) return known
    const cell = this.#openCell(exchange, model)
    byOutcome.set(outcome, cell)
    return cell
  }

  #openCell(exchange: Exchange, model: string): Cell {
    const error = errorTypeOf(exchange)
    const attributes: Attributes = {
      'gen_ai.operation.name': operationNameOf(exchange),
      'gen_ai.provider.name': provider,
      'gen_ai.request.model': model,
      ...(error === undefined ? {} : { 'error.type': error }),
    }
    const open = (instrument: InstrumentName, more: Attributes = {}) => {
      const values = new Distribution(instruments[instrument].bounds)
      this.#series.push({ instrument, attributes: { ...attributes, ...more }, values })
      return values
    }
    const generates = exchange.operation !== 'infer'
    return {
      duration: open('duration'),
      firstToken: generates ? open('firstToken') : undefined,
      perToken: generates ? open('perToken') : undefined,
      tokensIn: generates ? open('tokens', { 'gen_ai.token.type': 'input' }) : undefined,
      tokensOut: generates && exchange.operation !== 'embedding' ? open('tokens', { 'gen_ai.token.type': 'output' }) : undefined,
    }
  }
}

type Point = Extract<MetricData, { readonly dataPointType: DataPointType.HISTOGRAM }>['dataPoints'][number]

function pointOf(attributes: Attributes, { bounds, counts, sum, count }: Distribution, startTime: HrTime, endTime: HrTime): Point {
  return { startTime, endTime, attributes, value: { buckets: { boundaries: [...bounds], counts: [...counts] }, sum, count } }
}

function metricOf(name: InstrumentName, dataPoints: Point[]): MetricData {
  const { name: full, description, unit } = instruments[name]
  return {
    descriptor: { name: full, description, unit, valueType: ValueType.DOUBLE },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
    dataPointType: DataPointType.HISTOGRAM,
    dataPoints,
  }
}
