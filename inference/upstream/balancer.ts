import type { UpstreamConfiguration } from '../configuration.ts'

/**
 * How a request ended, as far as its endpoint is concerned.
 *
 * - `success`: it answered, be it with a refusal of this very request.
 * - `failure`: a timeout, an answer of 5xx, or one cut short. Whoever sends a request may be able to make it end like this.
 * - `unreachable`: no connection could be made; no request can bring that about.
 * - `neutral`: says nothing about it: the client left, or it is over its capacity.
 */
export type EndpointOutcome = 'success' | 'failure' | 'unreachable' | 'neutral'

/** What a report did to an endpoint. */
export interface EndpointChange {
  readonly index: number
  readonly kind: 'healthy' | 'unhealthy' | 'ejected' | 'back'
  /** Of `ejected`: for how long; else 0. */
  readonly forMs: number
}

/** A request's place at an endpoint. */
export interface Place {
  readonly index: number
  /** Which stretch between two ejections it began in: what began before an ejection says nothing about what comes after. */
  readonly stretch: number
  /** The one request that tries an endpoint whose ejection has ended. */
  readonly probe: boolean
}

export type BalancerSettings = Pick<UpstreamConfiguration, 'maxConnections' | 'outlier'> & {
  readonly health: Pick<UpstreamConfiguration['health'], 'unhealthyThreshold' | 'healthyThreshold'>
}

interface Endpoint {
  outstanding: number
  /** By active checks; undefined before the first, when it gets nothing. */
  healthy: boolean | undefined
  /** Checks in a row that contradict `healthy`. */
  contrary: number
  /** Failed requests in a row. */
  failures: number
  /** Null while it is not ejected; once the time is over, one probe decides. */
  ejectedUntil: number | null
  probing: boolean
  stretch: number
  /** Times ejected of late: one is forgotten for each base ejection time that it did well. */
  level: number
  backAt: number
}

/**
 * Chooses among the endpoints of a pool, and keeps what is known about them. Pure: every time is an argument, in milliseconds
 * on one monotonic clock. Names and meanings are Envoy's: active health checks with thresholds, outlier detection, least request.
 */
export class Balancer {
  readonly #settings: BalancerSettings
  readonly #endpoints: readonly Endpoint[]
  /** Where the search begins, so that equally idle endpoints take turns. */
  #turn = 0

  constructor(count: number, settings: BalancerSettings) {
    this.#settings = settings
    this.#endpoints = Array.from({ length: count }, () => ({
      outstanding: 0,
      healthy: undefined,
      contrary: 0,
      failures: 0,
      ejectedUntil: null,
      probing: false,
      stretch: 0,
      level: 0,
      backAt: 0,
    }))
  }

  /** Takes a place at the endpoint with the fewest requests; `full` where all that take work have their most connections, `away` where none does. */
  take(now: number, except?: ReadonlySet<number>): Place | 'full' | 'away' {
    const count = this.#endpoints.length
    this.#turn = (this.#turn + 1) % count
    let chosen = -1
    let least = this.#settings.maxConnections
    let some = false
    for (let i = 0; i < count; i++) {
      const index = (i + this.#turn) % count
      const one = this.#endpoints[index]
      if (one === undefined || !takesWork(one, now) || except?.has(index) === true) continue
      some = true
      if (one.outstanding >= least) continue
      least = one.outstanding
      chosen = index
    }
    const one = this.#endpoints[chosen]
    if (one === undefined) return some ? 'full' : 'away'
    one.outstanding++
    const probe = one.ejectedUntil !== null
    one.probing = probe
    return { index: chosen, stretch: one.stretch, probe }
  }

  /** The request is over and its connection free. Once a place. */
  leave({ index, stretch, probe }: Place): void {
    const one = this.#at(index)
    one.outstanding--
    if (probe && stretch === one.stretch) one.probing = false
  }

  /** An answer began: enough for a probe, whose answer may go on for minutes. */
  answered({ index, stretch, probe }: Place, now: number): EndpointChange | undefined {
    const one = this.#at(index)
    return probe && stretch === one.stretch && one.ejectedUntil !== null ? back(one, index, now) : undefined
  }

  /** How a request ended. */
  report(place: Place, outcome: EndpointOutcome, now: number): EndpointChange | undefined {
    const { index, stretch, probe } = place
    const one = this.#at(index)
    if (outcome === 'neutral' || stretch !== one.stretch) return undefined
    if (one.ejectedUntil !== null) {
      if (!probe) return undefined
      return outcome === 'success' ? back(one, index, now) : this.#eject(one, index, now)
    }
    if (outcome === 'success') {
      one.failures = 0
      return undefined
    }
    one.failures++
    const due = one.failures >= this.#settings.outlier.consecutiveFailures
    return due && this.#mayEject(index, outcome, now) ? this.#eject(one, index, now) : undefined
  }

  /** The result of an active check. The first decides at once, the others by the thresholds. */
  checked(index: number, well: boolean): EndpointChange | undefined {
    const { healthyThreshold, unhealthyThreshold } = this.#settings.health
    const one = this.#at(index)
    if (one.healthy === well) {
      one.contrary = 0
      return undefined
    }
    one.contrary++
    if (one.healthy !== undefined && one.contrary < (well ? healthyThreshold : unhealthyThreshold)) return undefined
    one.healthy = well
    one.contrary = 0
    return { index, kind: well ? 'healthy' : 'unhealthy', forMs: 0 }
  }

  /** Failed requests in a row at an endpoint. */
  failures(index: number): number {
    return this.#at(index).failures
  }

  /** Endpoints that take work. */
  available(now: number): number {
    return this.#endpoints.reduce((sum, one) => sum + (takesWork(one, now) ? 1 : 0), 0)
  }

  /** Endpoints that are well: checked, and not ejected. */
  well(): number {
    return this.#endpoints.reduce((sum, one) => sum + (one.healthy === true && one.ejectedUntil === null ? 1 : 0), 0)
  }

  /** Until the next ejection ends; undefined where none is waited for. */
  nextMs(now: number): number | undefined {
    let next: number | undefined
    for (const { ejectedUntil, healthy } of this.#endpoints) {
      if (healthy === true && ejectedUntil !== null) next = Math.min(next ?? Number.POSITIVE_INFINITY, Math.max(0, ejectedUntil - now))
    }
    return next
  }

  /**
   * The share bounds every ejection. Failures that a client may provoke never eject the last endpoint that takes work:
   * else five requests that the model chokes on would take it from everyone.
   */
  #mayEject(index: number, outcome: EndpointOutcome, now: number): boolean {
    const ejected = this.#endpoints.filter(({ ejectedUntil }) => ejectedUntil !== null).length
    if (ejected + 1 > this.#settings.outlier.maxEjectionShare * this.#endpoints.length + 1e-9) return false
    return outcome === 'unreachable' || this.#endpoints.some((other, at) => at !== index && takesWork(other, now))
  }

  #eject(one: Endpoint, index: number, now: number): EndpointChange {
    const { baseEjectionMs, maxEjectionMs } = this.#settings.outlier
    const forgotten = one.ejectedUntil === null ? Math.floor((now - one.backAt) / baseEjectionMs) : 0
    one.level = Math.min(Math.max(0, one.level - forgotten) + 1, Math.ceil(maxEjectionMs / baseEjectionMs))
    const forMs = Math.min(maxEjectionMs, baseEjectionMs * one.level)
    one.ejectedUntil = now + forMs
    one.failures = 0
    one.probing = false
    one.stretch++
    return { index, kind: 'ejected', forMs }
  }

  #at(index: number): Endpoint {
    const one = this.#endpoints[index]
    if (one === undefined) throw new RangeError(`There is no endpoint ${index}`)
    return one
  }
}

function takesWork(one: Endpoint, now: number): boolean {
  if (one.healthy !== true) return false
  return one.ejectedUntil === null || (now >= one.ejectedUntil && !one.probing)
}

function back(one: Endpoint, index: number, now: number): EndpointChange {
  one.ejectedUntil = null
  one.failures = 0
  one.probing = false
  one.backAt = now
  return { index, kind: 'back', forMs: 0 }
}
