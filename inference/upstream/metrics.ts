import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { AttemptOutcome } from './failure.ts'

export interface UpstreamMetrics {
  attempt(endpoint: string, outcome: AttemptOutcome, ms: number): void
  ejected(endpoint: string): void
  /** Endpoints that are well. */
  well(count: number): void
}

/** The metrics of one pool; pools share a registry. */
export function upstreamMetrics(registry: Registry, pool: string): UpstreamMetrics {
  const registers = [registry]
  const once = <T>(name: string, is: (found: unknown) => found is T, make: () => T): T => {
    const found = registry.getSingleMetric(name)
    return is(found) ? found : make()
  }
  const requests = once('cordon_upstream_requests_total', isCounter, () => {
    const labelNames = ['pool', 'endpoint', 'outcome']
    return new Counter({
      name: 'cordon_upstream_requests_total',
      help: 'Requests sent to an endpoint, by how they ended',
      labelNames,
      registers,
    })
  })
  const seconds = once('cordon_upstream_request_seconds', isHistogram, () => {
    return new Histogram({
      name: 'cordon_upstream_request_seconds',
      help: 'From sending a request to an endpoint to the end of its answer',
      labelNames: ['pool', 'endpoint'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30, 120],
      registers,
    })
  })
  const ejections = once('cordon_upstream_ejections_total', isCounter, () => {
    const labelNames = ['pool', 'endpoint']
    return new Counter({
      name: 'cordon_upstream_ejections_total',
      help: 'Times that an endpoint was taken out after failures in a row',
      labelNames,
      registers,
    })
  })
  const healthy = once('cordon_upstream_healthy_endpoints', isGauge, () => {
    const labelNames = ['pool']
    return new Gauge({
      name: 'cordon_upstream_healthy_endpoints',
      help: 'Endpoints that pass their checks and are not ejected',
      labelNames,
      registers,
    })
  })
  return {
    attempt: (endpoint, outcome, ms) => {
      requests.inc({ pool, endpoint, outcome })
      seconds.observe({ pool, endpoint }, ms / 1_000)
    },
    ejected: (endpoint) => ejections.inc({ pool, endpoint }),
    well: (count) => healthy.set({ pool }, count),
  }
}

const isCounter = (found: unknown): found is Counter => found instanceof Counter
const isHistogram = (found: unknown): found is Histogram => found instanceof Histogram
const isGauge = (found: unknown): found is Gauge => found instanceof Gauge
