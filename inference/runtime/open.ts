import * as tf from '@tensorflow/tfjs-core'
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import { InferenceError } from '../errors.ts'
import type { InferCall, Inference, TensorRuntime } from '../port.ts'
import { type ModelRegistry, openRegistry } from '../registry.ts'
import { type BackendChoice, openBackend } from './backend.ts'
import { Batcher, type Batching } from './batcher.ts'
import { createMetrics, type RuntimeMetrics } from './metrics.ts'
import { itemSize, loadNetwork, type Network } from './network.ts'

interface PoolSpec {
  readonly name: string
  /** Names of the models that the pool serves, in all their versions. */
  readonly models: readonly string[]
}

const defaultBatching: Batching = { maxItems: 32, maxWaitMicros: 0 }

export interface RuntimeOptions {
  readonly modelsDir: string
  readonly pools: readonly PoolSpec[]
  /** Default `auto`. */
  readonly backend?: BackendChoice
  /** Default 32 items and no wait beyond the event loop's turn. */
  readonly batching?: Batching
  /** Most items waiting or running in one pool; more are refused with `OVERLOADED`. */
  readonly maxQueueItems: number
  readonly registry: Registry
  readonly log: Logger
}

interface Pool {
  /** By `model/version`. */
  readonly batchers: Map<string, { readonly batcher: Batcher; readonly network: Network }>
  requests: number
  items: number
}

/**
 * Opens every version of every model that a pool names: verified, built, and run with one item and with a full batch, so that no first request
 * pays for it. Throws `MODEL_NOT_FOUND`, `MODEL_CORRUPT`, `BACKEND_UNAVAILABLE`.
 */
export async function openRuntime(options: RuntimeOptions): Promise<TensorRuntime> {
  const backend = await openBackend(options.backend ?? 'auto', options.log)
  const models = await openRegistry(options.modelsDir)
  const networks = await loadNetworks(models, options)
  return new BatchingRuntime(backend, networks, options)
}

async function loadNetworks(models: ModelRegistry, options: RuntimeOptions): Promise<ReadonlyMap<string, Network>> {
  const { pools, log } = options
  const networks = new Map<string, Network>()
  try {
    for (const name of new Set(pools.flatMap((pool) => pool.models))) {
      const infos = models.list().filter((info) => info.name === name)
      if (infos.length === 0)
        throw new InferenceError('MODEL_NOT_FOUND', `A pool names the model ${name}, which is not in the models directory`)
      for (const info of infos) {
        const network = await loadNetwork(info, await models.read(name, info.version))
        networks.set(keyOf(name, info.version), network)
        const { maxItems } = options.batching ?? defaultBatching
        network.run(new Float32Array(maxItems * itemSize(info.inputs[0]?.shape ?? [])), maxItems)
        log.info({ model: name, version: info.version, digest: info.digest }, 'model loaded')
      }
    }
    return networks
  } catch (error) {
    for (const network of networks.values()) network.dispose()
    throw error
  }
}

function keyOf(model: string, version: string): string {
  return `${model}/${version}`
}

class BatchingRuntime implements TensorRuntime {
  readonly backend: string
  readonly #networks: ReadonlyMap<string, Network>
  readonly #pools = new Map<string, Pool>()
  readonly #maxQueueItems: number
  readonly #metrics: RuntimeMetrics
  #closing: Promise<void> | undefined

  constructor(backend: string, networks: ReadonlyMap<string, Network>, options: RuntimeOptions) {
    this.backend = backend
    this.#networks = networks
    this.#maxQueueItems = options.maxQueueItems
    const { depth, tensorBytes } = { depth: this.depth.bind(this), tensorBytes: this.tensorBytes.bind(this) }
    this.#metrics = createMetrics(options.registry, { backend, pools: options.pools.map((pool) => pool.name), depth, tensorBytes })
    for (const spec of options.pools) this.#pools.set(spec.name, this.#createPool(spec, options.batching ?? defaultBatching))
  }

  #createPool(spec: PoolSpec, batching: Batching): Pool {
    const pool: Pool = { batchers: new Map(), requests: 0, items: 0 }
    for (const [key, network] of this.#networks) {
      const { info } = network
      if (!spec.models.includes(info.name)) continue
      const batcher = new Batcher({
        batching,
        inputSize: itemSize(info.inputs[0]?.shape ?? []),
        outputSize: itemSize(info.outputs[0]?.shape ?? []),
        run: (input, items) => network.run(input, items),
        onBatch: (items, runMs) => this.#metrics.batch(info, spec.name, items, runMs),
      })
      pool.batchers.set(key, { batcher, network })
    }
    return pool
  }

  list() {
    return [...this.#networks.values()].map((network) => network.info)
  }

  info(model: string, version: string) {
    return this.#networks.get(keyOf(model, version))?.info
  }

  async infer({ model, version, pool: poolName, inputs, items }: InferCall): Promise<Inference> {
    const input = inputs[0]?.data
    if (!(input instanceof Float32Array)) throw new InferenceError('INPUT_INVALID', `${model} takes FP32`)
    if (this.#closing) throw new InferenceError('CLOSED', 'The model runtime is closed')
    const pool = this.#pools.get(poolName)
    const served = pool?.batchers.get(keyOf(model, version))
    if (!pool || !served) {
      throw new InferenceError('MODEL_NOT_FOUND', `The pool ${poolName} serves no version ${version} of a model ${model}`)
    }
    this.#checkSize(served.network, input, items)
    if (pool.items + items > this.#maxQueueItems) {
      this.#metrics.overloaded(poolName)
      throw new InferenceError('OVERLOADED', `The pool ${poolName} has ${pool.items} items waiting; try again later`)
    }
    pool.requests++
    pool.items += items
    try {
      const { output, queueMs } = await served.batcher.infer(input, items)
      const { info } = served.network
      this.#metrics.queued(info, poolName, queueMs)
      const [spec] = info.outputs
      const tensor = {
        name: spec?.name ?? 'output',
        datatype: 'FP32',
        shape: [items, ...(spec?.shape ?? []).slice(1)],
        data: output,
      } as const
      return { tensors: () => [tensor], raw: null, endpoint: null, queueMs }
    } finally {
      pool.requests--
      pool.items -= items
    }
  }

  #checkSize({ info }: Network, input: Float32Array, items: number): void {
    if (!Number.isInteger(items) || items < 1 || items > this.#maxQueueItems) {
      throw new InferenceError('INPUT_INVALID', `A request has 1 to ${this.#maxQueueItems} items, not ${items}`)
    }
    const expected = items * itemSize(info.inputs[0]?.shape ?? [])
    if (input.length !== expected) {
      throw new InferenceError('INPUT_INVALID', `${items} items of ${info.name} are ${expected} values, not ${input.length}`)
    }
  }

  depth(pool: string): number {
    return this.#pools.get(pool)?.requests ?? 0
  }

  ready(pool: string): boolean {
    return this.#pools.has(pool)
  }

  statistics() {
    return undefined
  }

  tensorBytes(): number {
    return tf.memory().numBytes
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const batchers = [...this.#pools.values()].flatMap((pool) => [...pool.batchers.values()])
    await Promise.all(batchers.map(({ batcher }) => batcher.close()))
    for (const network of this.#networks.values()) network.dispose()
    this.#metrics.remove()
  }
}
