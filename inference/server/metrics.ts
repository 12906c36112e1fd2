import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { Outcome } from '../../schemas/index.ts'

export interface NodeMetrics {
  observe(outcome: Outcome, durationMs: number): void
  unrecorded(): void
  fingerprintFailed(): void
  acknowledged(enforcedAfterMs: number | null): void
  unenforceable(): void
}

export function openNodeMetrics(registry: Registry, activeLeases: () => ReadonlyMap<string, number>): NodeMetrics {
  const registers = [registry]
  const requests = new Counter({
    name: 'cordon_requests_total',
    help: 'Requests that named a model, by how they ended',
    labelNames: ['outcome'],
    registers,
  })
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
  gaugeOf(registry, activeLeases)
  return {
    observe: (outcome, durationMs) => {
      requests.inc({ outcome })
      duration.observe({ outcome }, durationMs / 1_000)
    },
    unrecorded: () => unrecorded.inc(),
    fingerprintFailed: () => failures.inc(),
    acknowledged: (enforcedAfterMs) => {
      if (enforcedAfterMs !== null) enforcement.observe(Math.max(0, enforcedAfterMs) / 1_000)
    },
    unenforceable: () => unenforceable.inc(),
  }
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
