import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { setTimeout as delay } from 'node:timers/promises'
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { PeriodicExportingMetricReader, type ResourceMetrics } from '@opentelemetry/sdk-metrics'
import { BatchSpanProcessor, type ReadableSpan } from '@opentelemetry/sdk-trace'
import type { Logger } from 'pino'
import { Counter, type Registry } from 'prom-client'
import packageJson from '../../package.json' with { type: 'json' }
import type { Instant } from '../../schemas/index.ts'
import type { Exchange } from '../server/exchange.ts'
import { openPseudonyms } from '../server/pseudonym.ts'
import type { Tracing } from '../server/tracing.ts'
import { Measures } from './measures.ts'
import { RequestTrace } from './request-trace.ts'
import { Sampler } from './sampler.ts'
import { type SpanParts, spansOf } from './spans.ts'
import { parseTrace } from './trace-context.ts'
import { draw } from './trace-ids.ts'
import { WatchedExporter } from './watched-exporter.ts'

/** Spans that wait or are on their way; about 2 KiB each. */
const mostSpans = 2_048
/** Small, since writing a batch as JSON holds up the event loop: 4 µs a span, a quarter of a millisecond for all. */
const batchSpans = 64
const batchMs = 1_000
const defaultExportMs = 5_000

export interface TracingOptions {
  /** The collector's address; `/v1/traces` and `/v1/metrics` are added. */
  readonly endpoint: string
  readonly headers: Readonly<Record<string, string>>
  /** Share of traces that are sent where the client's trace does not say. */
  readonly sampleRatio: number
  /** Between exports of metrics, milliseconds. */
  readonly intervalMs: number
  /** The node's name: `service.instance.id`. */
  readonly node: string
  /** Names of the models that are served. Any other is told as `unknown`. */
  readonly models: Iterable<string>
  /** Whether a pool's models run elsewhere: then a call of them has its own span. */
  readonly forwards: (pool: string) => boolean
  /** Key of the pseudonyms, as the node has it. */
  readonly addressKey: Uint8Array
  /** Whether spans name principals as they are; else by pseudonym. */
  readonly namePrincipals?: boolean
  readonly clock: () => Instant
  readonly registry: Registry
  readonly log: Logger
  /** How long one export may take, its tries together, milliseconds. Default 5,000. */
  readonly exportMs?: number
  /** How long closing waits for the collector, milliseconds. Default 2,000. */
  readonly closeMs?: number
  /** Spans that wait for the collector; what is beyond is dropped and counted. Default, and most, 2,048. */
  readonly maxSpans?: number
}

/**
 * Spans and metrics of requests, sent to an OpenTelemetry collector as OTLP over HTTP, in the terms of the semantic conventions
 * for generative AI. No prompt, no input and no answer is in them, and no name that a client could choose freely.
 *
 * Nothing here waits for the collector. One that is away, slow or full costs spans, and those are counted.
 */
export function openTracing(options: TracingOptions): Tracing {
  const { clock } = options
  const parts = spanParts(options)
  const counters = countersOf(options.registry)
  const spans = openSpans(options, counters)
  const measures = new Measures({ ...parts, clock })
  const metrics = openMetrics(options, counters, measures)
  const sampler = new Sampler({ ratio: options.sampleRatio, clock, draw, refused: () => counters.dropped.inc({ reason: 'rate' }) })
  const record = (exchange: Exchange, status: number) => {
    measures.add(exchange)
    const { trace } = exchange
    if (trace instanceof RequestTrace && trace.sampled) spans.add(spansOf(parts, trace, exchange, status))
  }
  return {
    begin: (headers) => {
      const parent = parseTrace(headers)
      return new RequestTrace(parent, sampler.admits(parent?.sampled))
    },
    end: (exchange, status) => {
      try {
        record(exchange, status)
      } catch {
        counters.failures.inc({ signal: 'traces' })
      }
    },
    close: async () => {
      const closed = new AbortController()
      const flushed = Promise.allSettled([spans.close(), metrics.close()])
      const patience = delay(options.closeMs ?? 2_000, undefined, { signal: closed.signal, ref: true }).catch(() => {})
      await Promise.race([flushed, patience])
      closed.abort()
      spans.abandon()
      spans.interrupt()
      metrics.interrupt()
    },
  }
}

function spanParts({ node, models, forwards, addressKey, namePrincipals = false }: TracingOptions): SpanParts {
  const pseudonym = openPseudonyms(addressKey)
  return {
    resource: resourceFromAttributes({
      'service.name': 'cordon',
      'service.version': packageJson.version,
      'service.instance.id': node,
    }),
    scope: { name: 'cordon', version: packageJson.version },
    models: new Set(models),
    forwards,
    principalOf: namePrincipals ? (principal) => principal : (principal) => pseudonym('principal', principal),
  }
}

type Counters = ReturnType<typeof countersOf>

function countersOf(registry: Registry) {
  const registers = [registry]
  return {
    failures: new Counter({
      name: 'cordon_telemetry_export_failures_total',
      help: 'Exports to the OpenTelemetry collector that failed, and with them what they held',
      labelNames: ['signal'],
      registers,
    }),
    dropped: new Counter({
      name: 'cordon_telemetry_spans_dropped_total',
      help: 'Spans not sent: too many waited for the collector (queue), the node closed first (closing), or clients asked for more than they get (rate)',
      labelNames: ['reason'],
      registers,
    }),
  }
}

/** Where the collector takes a signal, over connections that can be broken off. */
function openRoad({ endpoint, headers, exportMs = defaultExportMs }: TracingOptions, signal: 'traces' | 'metrics') {
  const url = `${endpoint.replace(/\/+$/, '')}/v1/${signal}`
  const agent = url.startsWith('https:') ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true })
  return {
    exporting: {
      url,
      headers: { ...headers },
      timeoutMillis: exportMs,
      concurrencyLimit: mostSpans / batchSpans,
      httpAgentOptions: () => agent,
    },
    interrupt: () => agent.destroy(),
  }
}

function openSpans(options: TracingOptions, { failures, dropped }: Counters) {
  const { log, exportMs = defaultExportMs } = options
  const { exporting, interrupt } = openRoad(options, 'traces')
  const maxSpans = Math.min(mostSpans, options.maxSpans ?? mostSpans)
  let held = 0
  let closed = false
  const exporter = new WatchedExporter<ReadableSpan[]>({
    exporter: new OTLPTraceExporter(exporting),
    signal: 'traces',
    timeoutMs: exportMs,
    failures,
    log,
    interrupt,
    settled: ({ length }) => {
      held -= length
    },
  })
  const processor = new BatchSpanProcessor({
    exporter,
    maxQueueSize: maxSpans,
    maxExportBatchSize: Math.min(batchSpans, maxSpans),
    scheduledDelayMillis: batchMs,
    exportTimeoutMillis: 2 * exportMs,
  })
  return {
    interrupt,
    add: (spans: readonly ReadableSpan[]) => {
      if (closed) return
      if (held + spans.length > maxSpans) return dropped.inc({ reason: 'queue' }, spans.length)
      held += spans.length
      for (const span of spans) processor.onEnd(span)
    },
    close: () => {
      closed = true
      return processor.shutdown()
    },
    /** Nobody waits any longer for what is still here. */
    abandon: () => {
      if (held > 0) dropped.inc({ reason: 'closing' }, held)
      held = 0
    },
  }
}

function openMetrics(options: TracingOptions, { failures }: Counters, measures: Measures) {
  const { intervalMs, log, exportMs = defaultExportMs } = options
  const { exporting, interrupt } = openRoad(options, 'metrics')
  const exporter = new WatchedExporter<ResourceMetrics>({
    exporter: new OTLPMetricExporter(exporting),
    signal: 'metrics',
    timeoutMs: Math.min(exportMs, intervalMs),
    failures,
    log,
    interrupt,
  })
  const reader = new PeriodicExportingMetricReader({
    exporter,
    exportIntervalMillis: intervalMs,
    exportTimeoutMillis: intervalMs,
  })
  reader.setMetricProducer(measures)
  return { interrupt, close: () => reader.shutdown() }
}
