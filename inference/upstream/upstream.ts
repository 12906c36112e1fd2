import { performance } from 'node:perf_hooks'
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import type { PoolConfiguration, UpstreamConfiguration } from '../configuration.ts'
import { InferenceError } from '../errors.ts'
import type { Cancellation, EndpointCount } from '../port.ts'
import { Answer } from './answer.ts'
import { Balancer, type EndpointChange, type Place } from './balancer.ts'
import { Checks } from './checks.ts'
import { Endpoint, type Outgoing } from './endpoint.ts'
import type { Failure } from './failure.ts'
import { type UpstreamMetrics, upstreamMetrics } from './metrics.ts'

/** Between two lines of the log about one endpoint's failed requests: whoever sends them must not fill the log. */
const complaintMs = 60_000
/** Longest pause that a client is asked for while every endpoint is away, seconds. */
const longestAwaySeconds = 60

export interface UpstreamOptions {
  readonly pool: PoolConfiguration
  /** Bearer token that the upstream wants. */
  readonly token: string | null
  /** PEM of the authority that signed its certificate; null is the system's. */
  readonly ca: string | null
  /** Milliseconds since the epoch, for dates in `Retry-After`. */
  readonly clock: () => number
  /** Monotonic milliseconds, for ejections and waiting; `performance.now` where it is left out. */
  readonly monotonic?: () => number
  readonly log: Logger
  readonly metrics: Registry
}

/** What asks an endpoint for its models, after a check that went well. Never throws. */
export type Survey = (endpoint: Endpoint) => Promise<void>

interface Waiter {
  readonly taken: (place: Place) => void
  readonly refused: (error: InferenceError) => void
}

/** The endpoints of one pool: chooses, sends, tries again where that is safe, checks, ejects, counts. */
export class Upstream {
  readonly pool: string
  readonly settings: UpstreamConfiguration
  readonly #options: UpstreamOptions
  readonly #endpoints: readonly Endpoint[]
  readonly #balancer: Balancer
  readonly #checks: Checks
  readonly #metrics: UpstreamMetrics
  readonly #monotonic: () => number
  /** Bound: the pool's concurrency. */
  readonly #waiters = new Set<Waiter>()
  readonly #complained: number[]
  #outstanding = 0
  #closed = false

  constructor(options: UpstreamOptions, settings: UpstreamConfiguration, headers: readonly string[], checkPath: string, survey: Survey) {
    const { pool, ca } = options
    this.pool = pool.name
    this.settings = settings
    this.#options = options
    this.#monotonic = options.monotonic ?? (() => performance.now())
    this.#endpoints = settings.endpoints.map((address) => new Endpoint(address, { connections: settings.maxConnections, ca }))
    this.#complained = this.#endpoints.map(() => Number.NEGATIVE_INFINITY)
    this.#balancer = new Balancer(this.#endpoints.length, settings)
    this.#metrics = upstreamMetrics(options.metrics, pool.name)
    this.#metrics.well(0)
    this.#checks = new Checks({
      endpoints: this.#endpoints,
      path: checkPath,
      headers,
      intervalMs: settings.health.intervalMs,
      timeoutMs: settings.health.timeoutMs,
      onResult: (index, well, reason) => this.#changed(this.#balancer.checked(index, well), reason),
      afterwards: async (index) => {
        const endpoint = this.#endpoints[index]
        if (endpoint !== undefined) await survey(endpoint)
      },
    })
  }

  /** Resolves after the first check of each endpoint, however it went; after three times `health.timeoutMs` at the latest. */
  start(): Promise<void> {
    return this.#checks.start()
  }

  get ready(): boolean {
    return !this.#closed && this.#balancer.available(this.#monotonic()) > 0
  }

  /** Endpoints that pass their checks and are not ejected. */
  get endpoints(): EndpointCount {
    return { healthy: this.#balancer.well(), all: this.#endpoints.length }
  }

  /** Requests waiting or running. */
  get depth(): number {
    return this.#waiters.size + this.#outstanding
  }

  /** What a model is called there. */
  nameOf(model: string): string {
    const { names } = this.settings
    return (Object.hasOwn(names, model) ? names[model] : undefined) ?? model
  }

  /**
   * Sends a request; the answer's head is there and is 2xx, or a refusal of this very request. Its body must be read, or given up.
   *
   * @throws InferenceError `POOL_AWAY`, `OVERLOADED`, `CLOSED`, `CANCELLED`, `UPSTREAM_BUSY`, `UPSTREAM_FAILED`, `UPSTREAM_TIMEOUT`
   */
  async send(outgoing: Outgoing, cancellation: Cancellation): Promise<Answer> {
    const before = this.#monotonic()
    const entered = this.#enter(cancellation)
    let place = entered instanceof Promise ? await entered : entered
    const queueMs = this.#monotonic() - before
    const tried = new Set<number>()
    while (true) {
      const answer = this.#begin(place, outgoing, cancellation, queueMs)
      const failure = await answer.begun()
      if (failure === undefined) {
        this.#changed(this.#balancer.answered(place, this.#monotonic()))
        return answer
      }
      tried.add(place.index)
      const next = failure.retriable && tried.size <= this.settings.retries ? this.#balancer.take(this.#monotonic(), tried) : 'away'
      if (typeof next === 'string') throw this.#timely(failure)
      place = next
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#checks.close()
    for (const waiter of this.#waiters) waiter.refused(closed())
    await Promise.all(this.#endpoints.map((endpoint) => endpoint.close()))
  }

  #enter(cancellation: Cancellation): Place | Promise<Place> {
    if (this.#closed) throw closed()
    if (cancellation.aborted) throw cancelled()
    // Who waits goes first.
    const place = this.#waiters.size > 0 ? 'full' : this.#balancer.take(this.#monotonic())
    if (place === 'away') throw this.#away()
    if (place !== 'full') return place
    if (this.#waiters.size >= this.#options.pool.concurrency)
      throw new InferenceError('OVERLOADED', `Too many requests wait for a connection of pool ${this.pool}`)
    return this.#wait(cancellation)
  }

  #wait(cancellation: Cancellation): Promise<Place> {
    return new Promise((resolve, reject) => {
      const over = () => {
        this.#waiters.delete(waiter)
        cancellation.offEnd(left)
      }
      const left = () => waiter.refused(cancelled())
      const waiter: Waiter = {
        taken: (place) => {
          over()
          resolve(place)
        },
        refused: (error) => {
          over()
          reject(error)
        },
      }
      this.#waiters.add(waiter)
      cancellation.onEnd(left)
    })
  }

  /** Places came free, or endpoints came or went. */
  #pump(): void {
    for (const waiter of this.#waiters) {
      const place = this.#balancer.take(this.#monotonic())
      if (place === 'full') return
      if (place === 'away') waiter.refused(this.#away())
      else waiter.taken(place)
    }
  }

  #begin(place: Place, outgoing: Outgoing, cancellation: Cancellation, queueMs: number): Answer {
    const endpoint = this.#endpoints[place.index]
    if (endpoint === undefined) throw new RangeError('a place at no endpoint')
    this.#outstanding++
    const startedAt = this.#monotonic()
    const answer = new Answer(endpoint, queueMs, this.settings, this.#options.clock, (failure) => {
      this.#outstanding--
      cancellation.offEnd(answer.cancel)
      this.#ended(place, failure, answer, startedAt)
    })
    if (cancellation.aborted) answer.cancel()
    else {
      cancellation.onEnd(answer.cancel)
      endpoint.send(outgoing, answer.reception)
    }
    return answer
  }

  #ended(place: Place, failure: Failure | undefined, answer: Answer, startedAt: number): void {
    const now = this.#monotonic()
    this.#metrics.attempt(answer.endpoint, failure?.attempt ?? (answer.refuses ? 'refused' : 'success'), now - startedAt)
    if (failure?.attempt === 'failed' || failure?.attempt === 'timeout') this.#complain(place.index, failure, now)
    const change = this.#balancer.report(place, failure?.endpoint ?? 'success', now)
    this.#balancer.leave(place)
    this.#changed(change, failure?.error.message)
    this.#pump()
  }

  /** What was never begun may be tried again when an endpoint is back. */
  #timely({ error }: Failure): InferenceError {
    return error.code === 'POOL_AWAY' && error.retryAfter === undefined ? this.#away(error) : error
  }

  #away(cause?: InferenceError): InferenceError {
    const ms = this.#balancer.nextMs(this.#monotonic()) ?? this.settings.health.intervalMs
    const retryAfter = Math.min(longestAwaySeconds, Math.max(1, Math.ceil(ms / 1_000)))
    const message = cause?.message ?? `No endpoint of pool ${this.pool} takes work at the moment`
    return new InferenceError('POOL_AWAY', message, { retryAfter, ...(cause === undefined ? {} : { cause }) })
  }

  #complain(index: number, { error }: Failure, now: number): void {
    if (now - (this.#complained[index] ?? 0) < complaintMs) return
    this.#complained[index] = now
    const endpoint = this.#endpoints[index]?.label
    this.#options.log.warn({ pool: this.pool, endpoint, reason: error.message }, 'upstream: a request failed; more are counted, not logged')
  }

  #changed(change: EndpointChange | undefined, reason?: string): void {
    if (change === undefined) return
    const { index, kind, forMs } = change
    const endpoint = this.#endpoints[index]?.label ?? ''
    this.#metrics.well(this.#balancer.well())
    const about = { pool: this.pool, endpoint }
    if (kind === 'ejected') {
      this.#metrics.ejected(endpoint)
      this.#options.log.warn({ ...about, forMs, reason }, 'upstream: an endpoint is taken out after failures in a row')
    } else if (kind === 'unhealthy') this.#options.log.warn({ ...about, reason }, 'upstream: an endpoint fails its checks and gets nothing')
    else if (kind === 'healthy') this.#options.log.info(about, 'upstream: an endpoint passes its checks')
    else this.#options.log.info(about, 'upstream: an endpoint is back')
    this.#pump()
  }
}

function closed(): InferenceError {
  return new InferenceError('CLOSED', 'The upstream pool is closed')
}

function cancelled(): InferenceError {
  return new InferenceError('CANCELLED', 'The request ended before an endpoint was free')
}

/** The upstream of a pool that has one. */
export function configured({ name, upstream }: PoolConfiguration): UpstreamConfiguration {
  if (upstream === null) throw new TypeError(`Pool ${name} has no upstream`)
  return upstream
}
