import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { ModelInfo } from '../port.ts'

export interface RuntimeMetrics {
  batch(info: ModelInfo, pool: string, items: number, runMs: number): void
  queued(info: ModelInfo, pool: string, queueMs: number): void
  overloaded(pool: string): void
  /** One try at bringing a model into memory. */
  loaded(info: ModelInfo, pool: string, outcome: 'loaded' | 'failed'): void
  evicted(info: ModelInfo, pool: string): void
  /** A thread that ended is there again. */
  restarted(pool: string): void
  /** Takes them out of the registry, so that a runtime can be opened again. */
  remove(): void
}

export interface Observed {
  readonly backend: string
  readonly pools: readonly string[]
  readonly depth: (pool: string) => number
  readonly tensorBytes: () => number
  readonly tensors: (pool: string) => number
}

const names = {
  batchItems: 'cordon_runtime_batch_items',
  runSeconds: 'cordon_runtime_run_seconds',
  queueSeconds: 'cordon_runtime_queue_seconds',
  overloaded: 'cordon_runtime_overloaded_total',
  depth: 'cordon_runtime_depth_requests',
  loads: 'cordon_runtime_loads_total',
  evictions: 'cordon_runtime_evictions_total',
  restarts: 'cordon_runtime_worker_restarts_total',
  tensorBytes: 'cordon_runtime_tensor_bytes',
  tensors: 'cordon_runtime_tensors',
  backend: 'cordon_runtime_backend_info',
} as const
const perModel = ['model', 'version', 'pool'] as const

export function createMetrics(registry: Registry, observed: Observed): RuntimeMetrics {
  const registers = [registry]
  const batchItems = new Histogram({
    name: names.batchItems,
    help: 'Items merged into one run of a model',
    labelNames: perModel,
    buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024],
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
    ...createCounters(registers),
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

function createCounters(registers: Registry[]): Pick<RuntimeMetrics, 'loaded' | 'evicted' | 'restarted'> {
  const loads = new Counter({
    name: names.loads,
    help: 'Tries at bringing a model into memory',
    labelNames: [...perModel, 'outcome'],
    registers,
  })
  const evictions = new Counter({
    name: names.evictions,
    help: 'Models that left memory to make room for others',
    labelNames: perModel,
    registers,
  })
  const restarts = new Counter({ name: names.restarts, help: 'Threads that ended and were started again', labelNames: ['pool'], registers })
  return {
    loaded: ({ name, version }, pool, outcome) => loads.inc({ model: name, version, pool, outcome }),
    evicted: ({ name, version }, pool) => evictions.inc({ model: name, version, pool }),
    restarted: (pool) => restarts.inc({ pool }),
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
  const tensors = new Gauge({
    name: names.tensors,
    help: 'Tensors held, weights included, as of the last answer of the thread',
    labelNames: ['pool'],
    registers,
    collect() {
      for (const pool of observed.pools) this.set({ pool }, observed.tensors(pool))
    },
  })
  const backend = new Gauge({ name: names.backend, help: 'The backend in use', labelNames: ['backend'], registers })
  backend.set({ backend: observed.backend }, 1)
  registry.registerMetric(depth)
  registry.registerMetric(tensorBytes)
  registry.registerMetric(tensors)
  registry.registerMetric(backend)
}
