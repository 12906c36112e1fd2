import type { Duration, ModelStatistics } from '../port.ts'

/** Counts of one model version, over all pools. At most one entry a batch size. */
export class Statistics {
  #lastInference = 0
  #inferences = 0
  #executions = 0
  readonly #times = { success: new Sum(), fail: new Sum(), queue: new Sum(), compute: new Sum() }
  readonly #batches = new Map<number, Sum>()

  /** A batch that ran. */
  ran(items: number, runMs: number): void {
    this.#executions++
    this.#inferences += items
    let batch = this.#batches.get(items)
    if (batch === undefined) {
      batch = new Sum()
      this.#batches.set(items, batch)
    }
    batch.add(runMs)
  }

  /** A request that was answered, milliseconds. @param at since the epoch */
  answered(at: number, times: { readonly totalMs: number; readonly queueMs: number; readonly computeMs: number }): void {
    this.#lastInference = at
    this.#times.success.add(times.totalMs)
    this.#times.queue.add(times.queueMs)
    this.#times.compute.add(times.computeMs)
  }

  failed(totalMs: number): void {
    this.#times.fail.add(totalMs)
  }

  read(memoryBytes: number): ModelStatistics {
    const { success, fail, queue, compute } = this.#times
    return {
      lastInference: this.#lastInference,
      inferenceCount: this.#inferences,
      executionCount: this.#executions,
      success: success.read(),
      fail: fail.read(),
      queue: queue.read(),
      compute: compute.read(),
      batches: [...this.#batches].sort(([a], [b]) => a - b).map(([size, sum]) => ({ size, compute: sum.read() })),
      memoryBytes,
    }
  }
}

class Sum {
  #count = 0
  #ms = 0

  add(ms: number): void {
    this.#count++
    this.#ms += ms
  }

  read(): Duration {
    return { count: this.#count, ns: Math.round(this.#ms * 1e6) }
  }
}
