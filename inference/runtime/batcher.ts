import { InferenceError } from '../errors.ts'
import { assembled, type Chunk } from './assembly.ts'
import type { Block } from './protocol.ts'

export interface Batching {
  /** Most items in one run of the model. */
  readonly maxItems: number
  /**
   * How long the first waiting request may wait for others, in microseconds. 0: until the event loop has read
   * what had already arrived; under load batches then form by themselves, behind the one that is running.
   */
  readonly maxWaitMicros: number
}

export interface BatchRequest {
  /** By input of the model; not changed, and not kept once they ran. */
  readonly inputs: readonly Block[]
  readonly items: number
  /** Positions of the outputs that are asked for. */
  readonly outputs: readonly number[]
  /** Whether nobody waits for the answer any more. */
  readonly cancelled: () => boolean
}

export interface Batched {
  /** In the order asked for. */
  readonly outputs: readonly Block[]
  readonly queueMs: number
  /** Of all batches that it took part in. */
  readonly computeMs: number
}

/** A request on its way through. */
interface Pending extends BatchRequest {
  /** Shapes of its items: the requests of one batch agree. */
  readonly form: string
  readonly arrivedAt: number
  readonly chunks: Chunk[]
  /** Items that were handed to batches, and items not yet answered. */
  taken: number
  left: number
  queueMs: number
  computeMs: number
  failed: boolean
  readonly resolve: (batched: Batched) => void
  readonly reject: (error: InferenceError) => void
}

export interface Part {
  readonly pending: Pending
  readonly from: number
  readonly items: number
}

export interface Batch {
  readonly parts: readonly Part[]
  readonly items: number
  /** Positions of all outputs that some part asks for, ascending. */
  readonly outputs: readonly number[]
}

/**
 * Merges requests for one model into batches, first come first served. A request that does not fit what is left of a batch goes
 * on in the next one; requests whose free dimensions differ go into different batches. What nobody waits for any more is
 * dropped before it runs. The clock is the caller's, in milliseconds.
 */
export class Batcher {
  readonly #batching: Batching
  readonly #free: boolean
  #queue: Pending[] = []

  /** @param free whether the model has dimensions beyond the batch that requests may choose */
  constructor(batching: Batching, free: boolean) {
    this.#batching = batching
    this.#free = free
  }

  get empty(): boolean {
    return this.#queue.length === 0
  }

  /** When the request at the front came; infinite where there is none. */
  get since(): number {
    return this.#queue[0]?.arrivedAt ?? Number.POSITIVE_INFINITY
  }

  /** Rejects with `INFERENCE_FAILED`, `CANCELLED`, or what `clear` says; how many may wait is the caller's to bound. */
  add(request: BatchRequest, now: number): Promise<Batched> {
    return new Promise((resolve, reject) => {
      const { inputs, items, outputs, cancelled } = request
      const form = this.#free ? inputs.map(({ shape }) => shape.slice(1).join('×')).join(';') : ''
      const progress = { chunks: [], taken: 0, left: items, queueMs: 0, computeMs: 0, failed: false }
      this.#queue.push({ inputs, items, outputs, cancelled, form, arrivedAt: now, ...progress, resolve, reject })
    })
  }

  /** Whether a batch would have no room left. */
  full(): boolean {
    let items = 0
    for (const pending of this.#queue) {
      if (pending.form === this.#queue[0]?.form) items += pending.items - pending.taken
      if (items >= this.#batching.maxItems) return true
    }
    return false
  }

  /** Milliseconds until a batch may start: 0 when it is full, or its first request waited long enough. */
  waitMs(now: number): number {
    if (this.full()) return 0
    return Math.max(0, this.#batching.maxWaitMicros / 1_000 - (now - this.since))
  }

  /** The next batch, from the front of the queue; null where nobody waits any more. */
  take(): Batch | null {
    this.sweep()
    const form = this.#queue[0]?.form
    const parts: Part[] = []
    let room = this.#batching.maxItems
    for (const pending of this.#queue) {
      if (room === 0) break
      if (pending.form !== form) continue
      const items = Math.min(room, pending.items - pending.taken)
      parts.push({ pending, from: pending.taken, items })
      pending.taken += items
      room -= items
    }
    if (parts.length === 0) return null
    this.#queue = this.#queue.filter((pending) => pending.taken < pending.items)
    const outputs = [...new Set(parts.flatMap(({ pending }) => pending.outputs))].sort((a, b) => a - b)
    return { parts, items: this.#batching.maxItems - room, outputs }
  }

  /** Drops what nobody waits for any more. */
  sweep(): void {
    this.#queue = this.#queue.filter((pending) => {
      if (!pending.failed && pending.cancelled()) fail(pending, new InferenceError('CANCELLED', 'Nobody waits for the answer any more'))
      return !pending.failed
    })
  }

  /** Rejects all that wait. */
  clear(error: InferenceError): void {
    for (const pending of this.#queue) fail(pending, error)
    this.#queue = []
  }
}

/**
 * Hands a batch's answer to its requests.
 *
 * @param outputs by the batch's `outputs`
 * @param times when the run started, on the clock of `add`, and how long it took
 */
export function settle(batch: Batch, outputs: readonly Block[], { startedAt, runMs }: { startedAt: number; runMs: number }): void {
  let row = 0
  for (const { pending, from, items } of batch.parts) {
    if (from === 0) pending.queueMs = Math.max(0, startedAt - pending.arrivedAt)
    pending.computeMs += runMs
    const whole = items === batch.items
    pending.chunks.push({ row, items, whole, blocks: pending.outputs.flatMap((at) => outputs[batch.outputs.indexOf(at)] ?? []) })
    row += items
    pending.left -= items
    if (pending.left === 0 && !pending.failed) finish(pending)
  }
}

/** Fails a batch's requests, whole: what is left of them is not worth running. */
export function reject(batch: Batch, error: InferenceError): void {
  for (const { pending } of batch.parts) fail(pending, error)
}

function finish(pending: Pending): void {
  try {
    const { queueMs, computeMs } = pending
    pending.resolve({ outputs: assembled(pending.chunks), queueMs, computeMs })
  } catch (cause) {
    fail(pending, new InferenceError('INFERENCE_FAILED', 'The batches of one request have answers of different shapes', { cause }))
  }
}

function fail(pending: Pending, error: InferenceError): void {
  pending.failed = true
  pending.reject(error)
}
