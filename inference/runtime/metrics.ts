import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { ModelInfo } from '../port.ts'

export interface RuntimeMetrics {
  batch(info: ModelInfo, pool: string, items: number, runMs: number): void
  queued(info: ModelInfo, pool: string, queueMs: number): void
  overloaded(pool: string): void
  /** Takes them out of the registry, so that a runtime can be opened again. */
  remove(): void
}

export interface Observed {
  readonly backend: string
  readonly pools: readonly string[]
  readonly depth: (pool: string) => number
  readonly tensorBytes: () => number
}

const names = {
  batchItems: 'cordon_runtime_batch_items',
  runSeconds: 'cordon_runtime_run_seconds',
  queueSeconds: 'cordon_runtime_queue_seconds',
  overloaded: 'cordon_runtime_overloaded_total',
  depth: 'cordon_runtime_depth_requests',
  tensorBytes: 'cordon_runtime_tensor_bytes',
  backend: 'cordon_runtime_backend_info',
} as const
const perModel = ['model', 'version', 'pool'] as const

export function createMetrics(registry: Registry, observed: Observed): RuntimeMetrics {
  const registers = [registry]
  const batchItems = new Histogram({
    name: names.batchItems,
    help: 'Items merged into one run of a model',
    labelNames: perModel,
    buckets: [1, 2, 4, 8, 16, 32, 64, 128],
    registers,
  })
  const runSeconds = new Histogram({
    name: names.runSeconds,
    help: 'Time that one batch took in the backend',
    labelNames: perModel,
    buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5],
    registers,
  })
  const queueSeconds = new Histogram({
    name: names.queueSeconds,
    help: 'Time that a request waited for its batch to start',
    labelNames: perModel,
    buckets: [0.0001, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1],
    registers,
  })
  const overloaded = new Counter({
    name: names.overloaded,
    help: 'Requests refused because too many items were waiting',
    labelNames: ['pool'],
    registers,
  })
  createGauges(registry, observed)
  return {
    batch: ({ name, version }, pool, items, runMs) => {
      batchItems.observe({ model: name, version, pool }, items)
      runSeconds.observe({ model: name, version, pool }, runMs / 1000)
    },
    queued: ({ name, version }, pool, queueMs) => queueSeconds.observe({ model: name, version, pool }, queueMs / 1000),
    overloaded: (pool) => overloaded.inc({ pool }),
    remove: () => {
      for (const name of Object.values(names)) registry.removeSingleMetric(name)
    },
  }
}

function createGauges(registry: Registry, observed: Observed): void {
  const registers: Registry[] = []
  const depth = new Gauge({
    name: names.depth,
    help: 'Requests waiting or running in a pool',
    labelNames: ['pool'],
    registers,
    collect() {
      for (const pool of observed.pools) this.set({ pool }, observed.depth(pool))
    },
  })
  const tensorBytes = new Gauge({
    name: names.tensorBytes,
    help: 'Bytes held by tensors, weights included',
    registers,
    collect() {
      this.set(observed.tensorBytes())
    },
  })
  const backend = new Gauge({ name: names.backend, help: 'The backend in use', labelNames: ['backend'], registers })
  backend.set({ backend: observed.backend }, 1)
  registry.registerMetric(depth)
  registry.registerMetric(tensorBytes)
  registry.registerMetric(backend)
}
