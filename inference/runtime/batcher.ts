import { InferenceError } from '../errors.ts'

export interface Batching {
  /** Most items in one run of the model. */
  readonly maxItems: number
  /**
   * How long the first waiting request may wait for others, in microseconds. 0: until the event loop has read
   * what had already arrived; under load batches then form by themselves, behind the one that is running.
   */
  readonly maxWaitMicros: number
}

export interface BatcherOptions {
  readonly batching: Batching
  /** Values of one item. */
  readonly inputSize: number
  readonly outputSize: number
  /** Runs one batch of `[items, …]`; never called again before it settles. */
  readonly run: (input: Float32Array, items: number) => Float32Array | Promise<Float32Array>
  /** Told of each finished batch: its items, and the time that the run took. */
  readonly onBatch?: (items: number, runMs: number) => void
}

export interface Batched {
  /** `[items, outputSize]`, row-major. */
  readonly output: Float32Array
  readonly queueMs: number
}

/** A request on its way through. */
interface Pending {
  readonly input: Float32Array
  readonly items: number
  readonly output: Float32Array
  readonly arrivedAt: number
  /** Items that were handed to batches, and items not yet answered. */
  taken: number
  left: number
  queueMs: number
  failed: boolean
  readonly resolve: (batched: Batched) => void
  readonly reject: (error: InferenceError) => void
}

interface Part {
  readonly pending: Pending
  readonly from: number
  readonly items: number
}

/**
 * Merges requests for one model into batches, first come first served. A request that does not fit what is left of
 * a batch goes on in the next one. One batch runs at a time.
 */
export class Batcher {
  readonly #options: BatcherOptions
  #queue: Pending[] = []
  #waitingItems = 0
  #scheduled = false
  #running: Promise<void> | undefined
  #closed = false

  constructor(options: BatcherOptions) {
    this.#options = options
  }

  /** Rejects with `CLOSED` or `INFERENCE_FAILED`; how many may wait is the caller's to bound. */
  infer(input: Float32Array, items: number): Promise<Batched> {
    if (this.#closed) return Promise.reject(closed())
    return new Promise((resolve, reject) => {
      const output = new Float32Array(items * this.#options.outputSize)
      const arrivedAt = performance.now()
      this.#queue.push({ input, items, output, arrivedAt, taken: 0, left: items, queueMs: -1, failed: false, resolve, reject })
      this.#waitingItems += items
      this.#schedule()
    })
  }

  /** Rejects what waits with `CLOSED`; resolves when the batch that runs is answered. */
  async close(): Promise<void> {
    this.#closed = true
    const waiting = this.#queue
    this.#queue = []
    this.#waitingItems = 0
    for (const pending of waiting) fail(pending, closed())
    await this.#running
  }

  #schedule(): void {
    if (this.#scheduled || this.#running || this.#queue.length === 0) return
    this.#scheduled = true
    setImmediate(() => this.#tick())
  }

  #tick(): void {
    this.#scheduled = false
    const first = this.#queue[0]
    if (!first) return
    const { maxItems, maxWaitMicros } = this.#options.batching
    const leftMs = maxWaitMicros / 1000 - (performance.now() - first.arrivedAt)
    if (this.#waitingItems < maxItems && leftMs > 0) {
      this.#scheduled = true
      // Timers count whole milliseconds; the rest of a shorter wait is turns of the event loop.
      if (leftMs >= 2) setTimeout(() => this.#tick(), Math.floor(leftMs) - 1)
      else setImmediate(() => this.#tick())
      return
    }
    this.#running = this.#runBatch(this.#take()).finally(() => {
      this.#running = undefined
      this.#schedule()
    })
  }

  /** The next batch, from the front of the queue. */
  #take(): Part[] {
    const parts: Part[] = []
    let room = this.#options.batching.maxItems
    for (let pending = this.#queue[0]; pending && room > 0; pending = this.#queue[0]) {
      const items = Math.min(room, pending.items - pending.taken)
      parts.push({ pending, from: pending.taken, items })
      pending.taken += items
      room -= items
      if (pending.taken === pending.items) this.#queue.shift()
    }
    this.#waitingItems -= this.#options.batching.maxItems - room
    return parts
  }

  async #runBatch(parts: readonly Part[]): Promise<void> {
    const items = parts.reduce((sum, part) => sum + part.items, 0)
    const startedAt = performance.now()
    for (const { pending } of parts) if (pending.queueMs < 0) pending.queueMs = startedAt - pending.arrivedAt
    try {
      const output = await this.#options.run(this.#gather(parts, items), items)
      this.#options.onBatch?.(items, performance.now() - startedAt)
      this.#scatter(parts, output)
    } catch (cause) {
      const error = new InferenceError('INFERENCE_FAILED', `Running a batch of ${items} items failed`, { cause })
      for (const { pending } of parts) fail(pending, error)
      this.#dropFailed()
    }
  }

  #gather(parts: readonly Part[], items: number): Float32Array {
    const { inputSize } = this.#options
    const batch = new Float32Array(items * inputSize)
    let at = 0
    for (const { pending, from, items: count } of parts) {
      batch.set(pending.input.subarray(from * inputSize, (from + count) * inputSize), at)
      at += count * inputSize
    }
    return batch
  }

  #scatter(parts: readonly Part[], output: Float32Array): void {
    const { outputSize } = this.#options
    let at = 0
    for (const { pending, from, items } of parts) {
      pending.output.set(output.subarray(at, at + items * outputSize), from * outputSize)
      at += items * outputSize
      pending.left -= items
      if (pending.left === 0 && !pending.failed) pending.resolve({ output: pending.output, queueMs: pending.queueMs })
    }
  }

  /** The rest of a request that failed is not worth running. */
  #dropFailed(): void {
    this.#queue = this.#queue.filter((pending) => !pending.failed)
    this.#waitingItems = this.#queue.reduce((sum, pending) => sum + pending.items - pending.taken, 0)
  }
}

function fail(pending: Pending, error: InferenceError): void {
  pending.failed = true
  pending.reject(error)
}

function closed(): InferenceError {
  return new InferenceError('CLOSED', 'The model runtime is closed')
}
