import type { Logger } from 'pino'
import { InferenceError } from '../errors.ts'
import { gathered } from './assembly.ts'
import { type Batch, type Batched, Batcher, type BatchRequest, reject, settle } from './batcher.ts'
import { type Backoff, backoffMs, type Slot } from './residency.ts'
import type { ModelThread } from './thread.ts'

/** Batches that are with the thread at most: one that runs, and one that it finds when that is done. */
const ahead = 2

/** How often it is looked whether those who wait are still there. A listener for each would cost more than most requests do. */
const sweepMs = 20

export interface Served {
  readonly slot: Slot
  readonly batcher: Batcher
  readonly maxItems: number
}

export interface PoolOptions {
  readonly name: string
  readonly served: ReadonlyMap<string, Served>
  readonly openThread: () => Promise<ModelThread>
  readonly modelsDir: string
  readonly restart: Backoff
  readonly log: Logger
  /** Has a model loaded; throws where its last try failed just now. */
  readonly want: (slot: Slot) => void
  readonly onBatch: (slot: Slot, items: number, runMs: number) => void
  /** The thread ended: no model is in memory. Then, that another is there. */
  readonly onLost: (pool: string) => void
  readonly onRestart: (pool: string, lost: readonly Slot[]) => void
}

/**
 * A pool: its thread, and the requests that wait for it. What waits is kept here until the thread can have it, so that it can
 * still be merged, or dropped.
 */
export class Pool {
  readonly name: string
  readonly served: ReadonlyMap<string, Served>
  readonly #options: PoolOptions
  #thread: ModelThread | undefined
  #inFlight = 0
  #timer: NodeJS.Timeout | undefined
  #sweeping: NodeJS.Timeout | undefined
  #scheduled = false
  #deaths = 0
  #closed = false
  #restarting: NodeJS.Timeout | undefined
  #idle: (() => void) | undefined

  constructor(options: PoolOptions, thread: ModelThread | undefined) {
    this.name = options.name
    this.served = options.served
    this.#options = options
    if (thread) this.#adopt(thread)
  }

  /** A pool without models needs no thread to be ready. */
  get ready(): boolean {
    return !this.#closed && (this.#thread !== undefined || this.served.size === 0)
  }

  get held(): { readonly tensors: number; readonly bytes: number } {
    return this.#thread?.held ?? { tensors: 0, bytes: 0 }
  }

  /** Throws `POOL_AWAY`, or why the model could not be loaded just now; rejects as the batcher does, and with `CLOSED`. */
  infer(served: Served, request: BatchRequest): Promise<Batched> {
    if (this.#thread === undefined) throw new InferenceError('POOL_AWAY', `The pool ${this.name} starts its thread again; try again later`)
    if (!served.slot.open) this.#options.want(served.slot)
    const answer = served.batcher.add(request, performance.now())
    this.#sweeping ??= setTimeout(() => this.#sweep(), sweepMs)
    this.schedule()
    return answer
  }

  /** Drops what nobody waits for any more. */
  sweep(): void {
    for (const { batcher } of this.served.values()) batcher.sweep()
  }

  #sweep(): void {
    this.sweep()
    const waiting = [...this.served.values()].some(({ batcher }) => !batcher.empty)
    this.#sweeping = waiting ? setTimeout(() => this.#sweep(), sweepMs) : undefined
  }

  async load(slot: Slot): Promise<number> {
    const maxItems = this.served.get(slot.key)?.maxItems ?? 1
    if (this.#thread === undefined) throw new InferenceError('POOL_AWAY', `The pool ${this.name} has no thread to load ${slot.key}`)
    return this.#thread.load(slot.key, slot.info, this.#options.modelsDir, maxItems)
  }

  async unload(slot: Slot): Promise<void> {
    await this.#thread?.dispose(slot.key)
  }

  /** Looks for a batch in the next turn of the event loop, when what had arrived is read. */
  schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#pump()
    })
  }

  /** Rejects what waits with `CLOSED`; resolves when what runs is answered, and the thread has ended. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    clearTimeout(this.#sweeping)
    clearTimeout(this.#restarting)
    this.#clear(new InferenceError('CLOSED', 'The model runtime is closed'))
    if (this.#inFlight > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve
      })
    }
    await this.#thread?.close()
  }

  #adopt(thread: ModelThread): void {
    this.#thread = thread
    void thread.gone.then((error) => {
      if (!this.#closed) this.#lost(error)
    })
  }

  #pump(): void {
    clearTimeout(this.#timer)
    while (this.#thread !== undefined && this.#inFlight < ahead) {
      const served = this.#next(performance.now())
      if (served === undefined) return
      this.#send(this.#thread, served)
    }
  }

  /**
   * The model whose request waited longest. Beside a batch that runs only a full one is sent ahead: one with room is better
   * filled while it waits anyway.
   */
  #next(now: number): Served | undefined {
    let [best, soonest]: [Served | undefined, number] = [undefined, Number.POSITIVE_INFINITY]
    for (const served of this.served.values()) {
      const { batcher, slot } = served
      if (batcher.empty) continue
      if (!slot.open) this.#askFor(served)
      else if (this.#inFlight === 0 ? batcher.waitMs(now) <= 0 : batcher.full()) {
        if (best === undefined || batcher.since < best.batcher.since) best = served
      } else if (this.#inFlight === 0) soonest = Math.min(soonest, batcher.waitMs(now))
    }
    if (best === undefined && soonest < Number.POSITIVE_INFINITY) this.#wake(soonest)
    return best
  }

  #askFor({ slot, batcher }: Served): void {
    try {
      this.#options.want(slot)
    } catch (error) {
      if (error instanceof InferenceError) batcher.clear(error)
    }
  }

  /** Timers count whole milliseconds; the rest of a shorter wait is turns of the event loop. */
  #wake(ms: number): void {
    if (ms >= 2) this.#timer = setTimeout(() => this.#pump(), Math.floor(ms) - 1)
    else this.schedule()
  }

  #send(thread: ModelThread, { slot, batcher }: Served): void {
    const batch = batcher.take()
    if (batch === null) {
      slot.awaitFirst(false)
      return
    }
    slot.enter(performance.now())
    this.#inFlight++
    void this.#run(thread, slot, batch).finally(() => {
      this.#inFlight--
      slot.leave(performance.now())
      if (this.#inFlight === 0) this.#idle?.()
      this.schedule()
    })
  }

  async #run(thread: ModelThread, slot: Slot, batch: Batch): Promise<void> {
    const { parts } = batch
    const inputs = slot.info.inputs.map(({ datatype }, i) =>
      gathered(
        datatype,
        parts.flatMap(({ pending, from, items }) => (pending.inputs[i] ? [{ block: pending.inputs[i], from, items }] : [])),
      ),
    )
    try {
      const { outputs, runMs } = await thread.run(slot.key, inputs, batch.outputs)
      this.#deaths = 0
      this.#options.onBatch(slot, batch.items, runMs)
      settle(batch, outputs, { startedAt: performance.now() - runMs, runMs })
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : 'unknown'
      reject(batch, new InferenceError('INFERENCE_FAILED', `Running a batch of ${batch.items} items failed: ${why}`, { cause }))
    }
  }

  #lost(error: Error): void {
    const { log, restart, onLost } = this.#options
    const lost = [...this.served.values()].filter(({ slot }) => slot.state === 'loaded' || slot.state === 'leaving').map(({ slot }) => slot)
    this.#thread = undefined
    this.#deaths++
    onLost(this.name)
    this.#clear(new InferenceError('INFERENCE_FAILED', `The thread of the pool ${this.name} ended`, { cause: error }))
    const inMs = backoffMs(restart, this.#deaths)
    log.error({ pool: this.name, err: error, inMs }, 'model thread ended, and is started again')
    this.#restarting = setTimeout(() => void this.#restart(lost), inMs)
  }

  async #restart(lost: readonly Slot[]): Promise<void> {
    const { openThread, log, onRestart } = this.#options
    try {
      const thread = await openThread()
      if (this.#closed) return await thread.close()
      this.#adopt(thread)
      log.info({ pool: this.name }, 'model thread started again')
      onRestart(this.name, lost)
    } catch (error) {
      if (!this.#closed) this.#lost(error instanceof Error ? error : new Error('unknown'))
    }
  }

  #clear(error: InferenceError): void {
    for (const { batcher } of this.served.values()) batcher.clear(error)
  }
}
