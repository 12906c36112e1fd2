import { Pause } from '../pause.ts'
import type { PartitionState, Tail, TailOptions } from '../port.ts'
import { toBusError, typeOf } from './client.ts'
import type { Fetcher } from './fetcher.ts'

export interface TailContext {
  readonly fetcher: Fetcher
  readonly maxWaitMs: number
  readonly minBytes: number
  readonly states: () => Promise<readonly PartitionState[]>
}

/** Follows every partition of a topic: one loop of fetches for each broker, for whichever partitions it leads at the time. */
export class KafkaTail implements Tail {
  readonly #context: TailContext
  readonly #options: TailOptions
  readonly #abort = new AbortController()
  readonly #positions = new Map<number, number>()
  /** What was there when the tail began, by partition, until it is delivered. */
  readonly #goals = new Map<number, number>()
  readonly #loops = new Map<string, Promise<void>>()
  #toldCaughtUp = false
  #confirmedAt = performance.now()

  constructor(context: TailContext, options: TailOptions) {
    this.#context = context
    this.#options = options
  }

  async start(): Promise<void> {
    for (const { partition, start, end } of await this.#context.states()) {
      const { from } = this.#options
      const wanted = from === 'start' ? start : from === 'end' ? end : (from.get(partition) ?? start)
      this.#positions.set(partition, Math.max(start, Math.min(wanted, end)))
      this.#goals.set(partition, end)
    }
    await this.#context.fetcher.connect()
    // The caller has its Consumer before the first record comes.
    setImmediate(() => {
      this.#checkCaughtUp()
      this.#plan()
    })
  }

  staleMs(): number {
    return performance.now() - this.#confirmedAt
  }

  async close(): Promise<void> {
    this.#abort.abort()
    // A waiting fetch ends with its connection.
    await this.#context.fetcher.close()
    await Promise.all(this.#loops.values())
  }

  #plan(): void {
    if (this.#abort.signal.aborted) return
    for (const node of this.#context.fetcher.leaders([...this.#positions.keys()]).keys()) {
      if (!this.#loops.has(node))
        this.#loops.set(
          node,
          this.#follow(node).finally(() => this.#loops.delete(node)),
        )
    }
  }

  /** Ends when the broker leads nothing any more. */
  async #follow(node: string): Promise<void> {
    const { fetcher, maxWaitMs, minBytes } = this.#context
    const { signal } = this.#abort
    const pause = new Pause()
    while (!signal.aborted) {
      try {
        const led = fetcher.leaders([...this.#positions.keys()]).get(node)
        if (led === undefined) return this.#plan()
        const from = led.map((partition) => ({ partition, offset: this.#positions.get(partition) ?? 0 }))
        const fetched = await fetcher.fetch(node, from, maxWaitMs, minBytes)
        if (signal.aborted) return
        for (const { partition, records, next } of fetched) {
          this.#positions.set(partition, next)
          if (records.length > 0) this.#deliver(records)
        }
        this.#confirmedAt = performance.now()
        this.#checkCaughtUp()
        pause.reset()
      } catch (error) {
        if (signal.aborted) return
        this.#options.onError?.(toBusError(error, `tailing ${this.#options.topic}`))
        await pause.wait(signal)
        await this.#recover(error)
      }
    }
  }

  #deliver(records: Parameters<TailOptions['onRecords']>[0]): void {
    try {
      this.#options.onRecords(records)
    } catch (error) {
      this.#options.onError?.(error)
    }
  }

  async #recover(error: unknown): Promise<void> {
    try {
      await this.#context.fetcher.refresh()
      if (typeOf(error) === 'OFFSET_OUT_OF_RANGE') {
        // Retention took what comes next: what is left begins later.
        for (const { partition, start, end } of await this.#context.states()) {
          this.#positions.set(partition, Math.max(start, Math.min(this.#positions.get(partition) ?? start, end)))
        }
      }
      this.#plan()
    } catch (failure) {
      if (this.#abort.signal.aborted) return
      this.#options.onError?.(toBusError(failure, `tailing ${this.#options.topic}`))
    }
  }

  #checkCaughtUp(): void {
    if (this.#toldCaughtUp) return
    for (const [partition, goal] of this.#goals) if ((this.#positions.get(partition) ?? 0) < goal) return
    this.#toldCaughtUp = true
    this.#options.onCaughtUp?.()
  }
}
