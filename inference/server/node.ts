import { setTimeout as setTimeoutAsync } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { newEvent } from '../../bus/codec.ts'
import packageJson from '../../package.json' with { type: 'json' }
import type { TelemetryEvent } from '../../schemas/index.ts'
import { DeadlineWatch } from '../deadline-watch.ts'
import { openApp } from './app.ts'
import { Bodies } from './bodies.ts'
import { Connections } from './connections.ts'
import { Enforcement } from './enforcement.ts'
import { Freshness } from './freshness.ts'
import { Gate } from './gate.ts'
import { type NodeMetrics, openNodeMetrics } from './metrics.ts'
import { oipRoutes } from './oip/routes.ts'
import { openRoutes } from './open-routes.ts'
import { openaiRoutes } from './openai/routes.ts'
import { defaultLimits, type NodeLimits, type NodeOptions, type Pool } from './options.ts'
import { type PoolLoad, Pools } from './pools.ts'
import { type NodePulse, type PoolState, pulseOf, summaryOf } from './pulse.ts'
import { Recorder } from './recorder.ts'
import { Service } from './service.ts'
import { openTelemetry } from './telemetry.ts'

/** How long those that are told that their time is over have to hear it. */
const lastWordMs = 500
/** How often a node without requests looks whether it still knows what to enforce. */
const lookMs = 500

export interface Address {
  readonly host: string
  readonly port: number
  readonly reusePort?: boolean
}

export interface InferenceNode {
  /** For `inject` in tests; routes are complete. */
  readonly app: FastifyInstance
  /**
   * Listens, and begins to send telemetry; port 0 picks a free one. Resolves with where it listens. With `reusePort` other
   * processes may listen there as well, and the kernel deals connections out to them (Linux).
   */
  start(address: Address): Promise<{ readonly url: string; readonly port: number }>
  /** Emits one telemetry event now, and returns what it says. */
  sampleTelemetry(): TelemetryEvent
  /** What its heartbeat says. */
  pulse(): NodePulse
  /** Refuses new requests, finishes running ones, emits the last telemetry. Emitter, views, keys and runtime stay the caller's. */
  close(): Promise<void>
}

/**
 * The inference node. The path of `POST /v2/models/{m}[/versions/{v}]/infer`, with its exits:
 *
 * ```
 *  connection      400 not HTTP · 408 too slow · 431 headers too large
 *  headers         503 closing · 503 control topics unread for too long, where the node fails closed
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
  // First it says that it is not ready, then it refuses.
  let leaving = false
  let closing = false
  const freshness = openFreshness({ ...options, log })
  // The gauge is read long after both exist; each needs the other at its birth.
  const metrics = openNodeMetrics(
    options.registry,
    () => enforcement.active(),
    options.pools.flatMap(({ models }) => models),
  )
  const enforcement = openEnforcement({ ...options, log }, metrics, freshness)
  const { runtime, text, tracing, fingerprinterOf, clock } = options
  const watch = new DeadlineWatch()
  const gate = new Gate({ pools: options.pools, maxQueueMs: limits.maxQueueMs, maxWaiting: limits.maxInFlight, watch })
  const load: PoolLoad = {
    depth: (pool) => runtime.depth(pool) + text.depth(pool) + gate.waiting(pool),
    ready: (pool) => runtime.ready(pool) || text.ready(pool),
  }
  const pools = new Pools(options.pools, load, (pool, now) => enforcement.quarantine(pool, now))
  const stateOfPool = ({ name }: Pool): PoolState => {
    const endpoints = runtime.endpoints?.(name) ?? text.endpoints?.(name)
    return { name, ready: load.ready(name), depth: load.depth(name), endpoints }
  }
  const recorder = new Recorder(options, metrics, limits.anonymousEvents)
  const service = new Service({ options, limits, enforcement, freshness, pools, gate })
  const bodies = new Bodies(limits, watch)
  const connections = new Connections()
  const app = openApp({
    limits,
    bodies,
    connections,
    leaving: () => leaving,
    log,
    trustedProxies: options.trustedProxies ?? [],
    tls: options.tls,
  })
  const stateOf = () => {
    freshness.look()
    const pools = options.pools.map(stateOfPool)
    return { options, freshness, requests: recorder.requests, inFlight: service.inFlight, closing: leaving, pools }
  }
  const pulse = () => pulseOf(stateOf())
  openRoutes(app, {
    version: packageJson.version,
    backend: options.runtime.backend,
    registry: options.registry,
    ready: () => !leaving && service.list().length > 0 && freshness.look() !== 'fail-closed',
    // Which pools take work is for those alone who run the node.
    status: () => ({ ok: pulseOf({ ...stateOf(), pools: [] }).ok, summary: summaryOf(stateOf()) }),
  })
  const onRecordError = (error: unknown) => log.error({ err: error }, 'node: a request could not be recorded')
  const held = { bodies, connections, watch, maxPipelined: limits.maxPipelined }
  const { metering } = options
  const parts = { service, recorder, tracing, clock, metering, closing: () => closing, onRecordError, limits, metrics, log, ...held }
  const texts = { prompts: options.prompts, configurationOf: options.configurationOf }
  await app.register(oipRoutes, { ...parts, ...texts, runtime, fingerprinterOf })
  await app.register(openaiRoutes, { ...parts, ...texts, text })
  options.moreRoutes?.(app)
  await app.ready()
  const telemetry = openTelemetry({ options, everyMs: limits.telemetryMs, recorder, freshness })
  let looking: NodeJS.Timeout | undefined
  return {
    app,
    pulse,
    sampleTelemetry: telemetry.sample,
    start: async ({ host, port, reusePort = false }) => {
      const listening = { host, port, reusePort }
      const heard = await app.listen(listening)
      const url = options.tls === undefined ? heard : heard.replace(/^http:/, 'https:')
      telemetry.start()
      looking = setInterval(() => freshness.look(), lookMs)
      log.info({ url, backend: options.runtime.backend }, 'node: serving')
      const bound = app.server.address()
      return { url, port: bound !== null && typeof bound === 'object' ? bound.port : port }
    },
    close: async () => {
      leaving = true
      if (limits.announceMs > 0) await setTimeoutAsync(limits.announceMs)
      closing = true
      clearInterval(looking)
      // Those that still wait for an answer are refused; streams, and who does not take its answer, are cut off.
      let lastWord: NodeJS.Timeout | undefined
      const impatient = setTimeout(() => {
        connections.expireAll()
        lastWord = setTimeout(() => app.server.closeAllConnections(), lastWordMs)
      }, limits.drainMs)
      await app.close()
      clearTimeout(impatient)
      clearTimeout(lastWord)
      // After the last request, whose event it counts.
      telemetry.stop()
      enforcement.close()
    },
  }
}

function openFreshness({ containments, models, keys, control, clock, log, registry }: NodeOptions): Freshness {
  const freshness = new Freshness({ ...control, sources: [containments, models, keys], clock, log, registry })
  // A node may begin without having read anything.
  freshness.look()
  return freshness
}

function openEnforcement(options: NodeOptions, metrics: NodeMetrics, freshness: Freshness): Enforcement {
  const { containments, clock, name: node, emitter, log } = options
  const enforcement = new Enforcement({
    containments,
    clock,
    node,
    suspended: () => freshness.mode === 'fail-open',
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
  freshness.onRegained(() => enforcement.resume())
  return enforcement
}
