import { InferenceError } from '../errors.ts'
import type { InferCall, Inference, ModelInfo, ModelStatistics, TensorRuntime } from '../port.ts'
import { type Batched, Batcher } from './batcher.ts'
import { tensorOf, valuesOf } from './datatypes.ts'
import { createMetrics, type RuntimeMetrics } from './metrics.ts'
import { defaults, type RuntimeOptions } from './options.ts'
import { Pool, type Served } from './pool.ts'
import { type Memory, Residency, type Slot } from './residency.ts'
import { Statistics } from './statistics.ts'
import { ModelThread } from './thread.ts'

interface Load {
  requests: number
  items: number
}

/** Models on threads, one a pool; what waits, and what is in memory, is decided here. */
export class ThreadedRuntime implements TensorRuntime, Memory {
  readonly backend: string
  readonly #options: RuntimeOptions
  readonly #slots: readonly Slot[]
  readonly #pools = new Map<string, { readonly pool: Pool; readonly load: Load }>()
  readonly #statistics = new Map<string, Statistics>()
  readonly #residency: Residency
  readonly #metrics: RuntimeMetrics
  #closing: Promise<void> | undefined

  constructor(options: RuntimeOptions, slots: readonly Slot[], threads: ReadonlyMap<string, ModelThread>) {
    const [chosen] = threads.values()
    this.backend = chosen?.backend.name ?? 'none'
    this.#options = options
    this.#slots = slots
    const { maxModelBytes: maxBytes = Number.POSITIVE_INFINITY, backoff = defaults.backoff } = options
    this.#residency = new Residency(slots, { maxBytes, memory: this, clock: () => performance.now(), backoff })
    for (const { name } of options.pools) {
      this.#pools.set(name, { pool: this.#createPool(name, threads.get(name)), load: { requests: 0, items: 0 } })
    }
    for (const { key } of slots) this.#statistics.set(key, new Statistics())
    this.#metrics = createMetrics(options.registry, {
      backend: this.backend,
      pools: [...this.#pools.keys()],
      depth: (pool) => this.depth(pool),
      tensorBytes: () => this.tensorBytes(),
      tensors: (pool) => this.#pools.get(pool)?.pool.held.tensors ?? 0,
    })
  }

  #createPool(name: string, thread: ModelThread | undefined): Pool {
    const { modelsDir, log, backoff = defaults.backoff, maxRunMs = defaults.maxRunMs } = this.#options
    const served = this.#slots.filter((slot) => slot.pool === name).map((slot) => [slot.key, this.#serve(slot)] as const)
    const { backend } = thread ?? {}
    const openThread = () => ModelThread.open(name, backend?.name ?? 'auto', maxRunMs)
    const onBatch = (slot: Slot, items: number, runMs: number) => {
      this.#metrics.batch(slot.info, name, items, runMs)
      this.#statistics.get(slot.key)?.ran(items, runMs)
    }
    const residency = this.#residency
    const want = (slot: Slot) => residency.want(slot)
    const onLost = () => residency.lost(name)
    const onRestart = (_: string, lost: readonly Slot[]) => {
      this.#metrics.restarted(name)
      for (const slot of lost) if (residency.fits(slot)) residency.want(slot)
    }
    const hooks = { openThread, want, onBatch, onLost, onRestart }
    return new Pool({ name, served: new Map(served), modelsDir, restart: backoff, log, ...hooks }, thread)
  }

  #serve(slot: Slot): Served {
    const { batching } = this.#options.configurationOf?.(slot.info.name) ?? defaults
    const free = slot.info.inputs.some(({ shape }) => shape.slice(1).some((size) => size < 0))
    return { slot, batcher: new Batcher(batching, free), maxItems: batching.maxItems }
  }

  /** Loads the newest versions first, as far as there is room. Throws where one cannot be. */
  async start(): Promise<void> {
    const byAge = new Map<Slot, number>()
    for (const { name } of this.#options.pools) {
      const models = Map.groupBy(
        this.#slots.filter((slot) => slot.pool === name),
        (slot) => slot.info.name,
      )
      for (const versions of models.values()) for (const [age, slot] of versions.toReversed().entries()) byAge.set(slot, age)
    }
    for (const slot of this.#slots.toSorted((a, b) => (byAge.get(a) ?? 0) - (byAge.get(b) ?? 0))) {
      if (this.#residency.fits(slot)) await this.#residency.insist(slot)
    }
  }

  list(): readonly ModelInfo[] {
    return [...new Map(this.#slots.map(({ key, info }) => [key, info])).values()]
  }

  info(model: string, version: string): ModelInfo | undefined {
    return this.#slots.find(({ info }) => info.name === model && info.version === version)?.info
  }

  async infer(call: InferCall): Promise<Inference> {
    if (this.#closing) throw new InferenceError('CLOSED', 'The model runtime is closed')
    const { pool: name, model, version, items } = call
    const { pool, load } = this.#pools.get(name) ?? {}
    const served = pool?.served.get(`${model}/${version}`)
    if (!pool || !load || !served) {
      throw new InferenceError('MODEL_NOT_FOUND', `The pool ${name} serves no version ${version} of a model ${model}`)
    }
    const request = this.#requestOf(served.slot.info, call)
    this.#admit(pool, load, items)
    const startedAt = performance.now()
    load.requests++
    load.items += items
    try {
      return this.#answer(served.slot, request.outputs, await pool.infer(served, request), startedAt)
    } catch (error) {
      this.#statistics.get(served.slot.key)?.failed(performance.now() - startedAt)
      throw error
    } finally {
      load.requests--
      load.items -= items
    }
  }

  #requestOf({ name, inputs, outputs }: ModelInfo, call: InferCall) {
    const { items, cancellation } = call
    if (!Number.isInteger(items) || items < 1 || items > this.#options.maxQueueItems) {
      throw new InferenceError('INPUT_INVALID', `A request has 1 to ${this.#options.maxQueueItems} items, not ${items}`)
    }
    const blocks = inputs.map((spec) => {
      const tensor = call.inputs.find((given) => given.name === spec.name)
      if (tensor === undefined) throw new InferenceError('INPUT_INVALID', `${name} takes an input ${spec.name}`)
      return { data: valuesOf(spec, tensor, items), shape: tensor.shape }
    })
    const wanted = call.outputs.map((output) => outputs.findIndex((spec) => spec.name === output))
    if (wanted.includes(-1))
      throw new InferenceError('INPUT_INVALID', `${name} has the outputs ${outputs.map((spec) => spec.name).join(', ')}`)
    return { inputs: blocks, items, outputs: wanted, cancelled: () => cancellation.aborted }
  }

  #admit(pool: Pool, load: Load, items: number): void {
    const { maxQueueItems } = this.#options
    if (load.items + items <= maxQueueItems) return
    // Their places are free in the next turn, for others.
    pool.sweep()
    this.#metrics.overloaded(pool.name)
    throw new InferenceError('OVERLOADED', `The pool ${pool.name} has ${load.items} items waiting; try again later`)
  }

  #answer({ info, key, pool }: Slot, wanted: readonly number[], batched: Batched, startedAt: number): Inference {
    const { outputs, queueMs, computeMs } = batched
    this.#metrics.queued(info, pool, queueMs)
    this.#statistics.get(key)?.answered(Date.now(), { totalMs: performance.now() - startedAt, queueMs, computeMs })
    const tensors = outputs.flatMap((block, i) => {
      const spec = info.outputs[wanted[i] ?? 0]
      return spec ? [tensorOf(spec, block)] : []
    })
    return { tensors: () => tensors, raw: null, endpoint: null, queueMs }
  }

  depth(pool: string): number {
    return this.#pools.get(pool)?.load.requests ?? 0
  }

  ready(pool: string): boolean {
    return this.#pools.get(pool)?.pool.ready ?? false
  }

  statistics(model: string, version: string): ModelStatistics | undefined {
    const key = `${model}/${version}`
    const loaded = this.#slots.filter((slot) => slot.key === key && slot.state !== 'absent')
    return this.#statistics.get(key)?.read(loaded.reduce((sum, { bytes }) => sum + bytes, 0))
  }

  tensorBytes(): number {
    return [...this.#pools.values()].reduce((sum, { pool }) => sum + pool.held.bytes, 0)
  }

  load(slot: Slot): Promise<number> {
    return this.#of(slot).load(slot)
  }

  async unload(slot: Slot): Promise<void> {
    await this.#of(slot).unload(slot)
  }

  loaded(slot: Slot): void {
    const { info, pool, key } = slot
    const served = this.#of(slot).served.get(key)
    slot.awaitFirst(served !== undefined && !served.batcher.empty)
    this.#metrics.loaded(info, pool, 'loaded')
    this.#options.log.info({ model: info.name, version: info.version, digest: info.digest, pool, bytes: slot.bytes }, 'model loaded')
    this.#of(slot).schedule()
  }

  failed(slot: Slot, error: InferenceError): void {
    const { info, pool, key } = slot
    this.#metrics.loaded(info, pool, 'failed')
    if (this.#closing === undefined)
      this.#options.log.error({ model: info.name, version: info.version, pool, err: error }, 'model not loaded')
    this.#of(slot).served.get(key)?.batcher.clear(error)
  }

  evicted({ info, pool }: Slot): void {
    this.#metrics.evicted(info, pool)
    this.#options.log.info({ model: info.name, version: info.version, pool }, 'model evicted to make room')
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map(({ pool }) => pool.close()))
    this.#metrics.remove()
  }

  #of({ pool: name }: Slot): Pool {
    const found = this.#pools.get(name)
    if (found === undefined) throw new InferenceError('MODEL_NOT_FOUND', `There is no pool ${name}`)
    return found.pool
  }
}
