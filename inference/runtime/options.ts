import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import type { BackendChoice } from './backend.ts'
import type { Batching } from './batcher.ts'
import type { Backoff } from './residency.ts'

interface PoolSpec {
  readonly name: string
  /** Names of the models that the pool serves, in all their versions. */
  readonly models: readonly string[]
}

export interface RuntimeOptions {
  readonly modelsDir: string
  readonly pools: readonly PoolSpec[]
  /** Default `auto`. */
  readonly backend?: BackendChoice
  /** Default for each model 32 items and no wait beyond the event loop's turn. */
  readonly configurationOf?: (model: string) => { readonly batching: Batching }
  /** Most items waiting or running in one pool; more are refused with `OVERLOADED`. */
  readonly maxQueueItems: number
  /** Most bytes of weights in memory, over all pools. Default no bound. */
  readonly maxModelBytes?: number
  /** Until a thread that ended is started again, and a model that could not be loaded is tried again. Default 100 ms, doubled up to 30 s. */
  readonly backoff?: Backoff
  /** Longest that one batch may run; then its thread is ended, and started again. Default 60,000 ms. */
  readonly maxRunMs?: number
  readonly registry: Registry
  readonly log: Logger
}

export const defaults = {
  batching: { maxItems: 32, maxWaitMicros: 0 },
  backoff: { firstMs: 100, mostMs: 30_000 },
  maxRunMs: 60_000,
} as const
