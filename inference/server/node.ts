import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { FastifyInstance } from 'fastify'
import { newEvent } from '../../bus/codec.ts'
import packageJson from '../../package.json' with { type: 'json' }
import type { TelemetryEvent } from '../../schemas/index.ts'
import { openApp } from './app.ts'
import { Enforcement } from './enforcement.ts'
import { openNodeMetrics } from './metrics.ts'
import { defaultLimits, type NodeLimits, type NodeOptions } from './options.ts'
import { Pools } from './pools.ts'
import { Recorder } from './recorder.ts'
import { modelRoutes, openRoutes } from './routes.ts'
import { Service } from './service.ts'

/** How long running requests may take to finish once the node closes. */
const closeMs = 10_000

export interface NodeStatus {
  readonly ok: boolean
  /** One sentence for people. */
  readonly summary: string
  readonly detail: Readonly<Record<string, unknown>>
}

export interface InferenceNode {
  /** For `inject` in tests; routes are complete. */
  readonly app: FastifyInstance
  /** Listens and begins to send telemetry; port 0 picks a free one. Resolves with where it listens. */
  start(address: { readonly host: string; readonly port: number }): Promise<{ readonly url: string; readonly port: number }>
  /** Emits one telemetry event now, and returns what it says. */
  sampleTelemetry(): TelemetryEvent
  status(): NodeStatus
  /** Refuses new requests, finishes running ones, stops telemetry. Emitter, views, keys and runtime stay the caller's. */
  close(): Promise<void>
}

/**
 * The inference node. The path of `POST /v2/models/{m}[/versions/{v}]/infer`, with its exits:
 *
 * ```
 *  connection      400 not HTTP · 408 too slow · 431 headers too large
 *  headers         503 closing
 *    key           401 no valid key                                  (constant time; the reason is never told)
 *    policy        403 deny-principal
 *    allowance     429 not even one input left                       (the body is not read)
 *  body            415 not JSON, or compressed · 413 too large · 400 not well formed
 *    model         404 no such model or version · 403 a version that is rolled back
 *    input         422 name, datatype, shape, range, number of items
 *    capacity      503 overloaded · 503 every pool quarantined       (Retry-After)
 *    allowance     429 fewer inputs left than asked for              (Retry-After, RateLimit)
 *  model runs      503 queue full, or out of time · 500 the backend failed
 *  fingerprints, hardening, events to the spool
 *  answer          200
 * ```
 *
 * Each exit is one `application/problem+json`, and each request that names a model leaves one `request` event, before
 * its answer is sent.
 */
export async function createNode(options: NodeOptions): Promise<InferenceNode> {
  const limits: NodeLimits = { ...defaultLimits, ...options.limits }
  const log = options.log.child({ node: options.name }, { redact: ['headers.authorization', 'req.headers.authorization', 'key', 'bearer'] })
  let closing = false
  // The gauge is read long after both exist; each needs the other at its birth.
  const metrics = openNodeMetrics(options.registry, () => enforcement.active())
  const enforcement = openEnforcement({ ...options, log }, metrics)
  const pools = new Pools(options.pools, options.runtime, (pool, now) => enforcement.quarantine(pool, now))
  const recorder = new Recorder(options, metrics, limits.anonymousEvents)
  const service = new Service({ options, limits, enforcement, pools, metrics, log })
  const app = openApp(limits, log)
  const status = () => statusOf(options, recorder, service, closing)
  openRoutes(app, {
    version: packageJson.version,
    backend: options.runtime.backend,
    registry: options.registry,
    ready: () => !closing && options.runtime.list().length > 0,
    status,
  })
  const onRecordError = (error: unknown) => log.error({ err: error }, 'node: a request could not be recorded')
  await app.register(modelRoutes, { service, recorder, clock: options.clock, closing: () => closing, onRecordError })
  await app.ready()
  const telemetry = openTelemetry(options, limits, recorder)
  return {
    app,
    status,
    sampleTelemetry: telemetry.sample,
    start: async (address) => {
      const url = await app.listen(address)
      telemetry.start()
      log.info({ url, backend: options.runtime.backend }, 'node: serving')
      const bound = app.server.address()
      return { url, port: bound !== null && typeof bound === 'object' ? bound.port : address.port }
    },
    close: async () => {
      closing = true
      telemetry.stop()
      const impatient = setTimeout(() => app.server.closeAllConnections(), closeMs)
      await app.close()
      clearTimeout(impatient)
      enforcement.close()
    },
  }
}

function openEnforcement(options: NodeOptions, metrics: ReturnType<typeof openNodeMetrics>): Enforcement {
  const { containments, clock, name: node, emitter, log } = options
  return new Enforcement({
    containments,
    clock,
    node,
    acknowledge: (acknowledgement) => {
      emitter.emit('acknowledgements', newEvent('acknowledgement', acknowledgement, node, acknowledgement.at))
      metrics.acknowledged(acknowledgement.enforcedAfterMs)
      log.info({ lease: acknowledgement.lease, enforcedAfterMs: acknowledgement.enforcedAfterMs }, 'node: containment in force')
    },
    unenforceable: (lease) => {
      metrics.unenforceable()
      log.warn({ lease: lease.id, action: lease.action }, 'node: a lease that this node cannot enforce')
    },
  })
}

function openTelemetry(options: NodeOptions, limits: NodeLimits, recorder: Recorder) {
  const { name: node, pools, runtime, emitter, clock } = options
  const delay = monitorEventLoopDelay({ resolution: 10 })
  let timer: NodeJS.Timeout | undefined
  const sample = (): TelemetryEvent => {
    const { emitted, dropped, spoolBytes } = emitter.state()
    // Before the first tick of the monitor its percentile is not a number of nanoseconds.
    const loopDelayMs = delay.count === 0 ? 0 : delay.percentile(99) / 1e6
    const memory = { memoryBytes: process.memoryUsage.rss(), tensorBytes: runtime.tensorBytes() }
    const queueDepth = pools.reduce((sum, { name }) => sum + runtime.depth(name), 0)
    const pool = pools.length === 1 ? (pools[0]?.name ?? null) : null
    const data = { node, pool, requests: recorder.requests, emitted, dropped, spoolBytes, loopDelayMs, ...memory, queueDepth }
    delay.reset()
    emitter.emit('telemetry', newEvent('telemetry', data, node, clock()))
    return data
  }
  return {
    sample,
    start: () => {
      delay.enable()
      timer = setInterval(sample, limits.telemetryMs)
    },
    stop: () => {
      clearInterval(timer)
      delay.disable()
    },
  }
}

function statusOf({ emitter, runtime, clock }: NodeOptions, recorder: Recorder, service: Service, closing: boolean): NodeStatus {
  const { bus, since, spoolBytes, emitted, dropped } = emitter.state()
  const models = runtime.list().map(({ name, version }) => `${name}/${version}`)
  const away = `answering; the bus has been away for ${Math.round((clock() - since) / 1_000)} s, and ${spoolBytes} bytes of events wait on disk`
  const served = models.length === 0 ? 'no model is loaded' : `answering with ${runtime.backend}`
  const lost = dropped === 0 ? '' : `; ${dropped} events were lost`
  const summary = closing ? 'closing' : (bus === 'away' ? away : served) + lost
  const detail = {
    backend: runtime.backend,
    models,
    requests: recorder.requests,
    inFlight: service.inFlight,
    emitted,
    dropped,
    spoolBytes,
    bus,
  }
  return { ok: !closing && bus === 'ok' && models.length > 0, summary, detail }
}
