import type { BusRecord, Tail, TailOptions } from '../port.ts'
import type { Brokers } from './brokers.ts'
import { toBusError } from './failures.ts'
import { persist, readOffsets } from './offsets.ts'
import { Reader, type Source } from './reader.ts'

export interface TailContext {
  /** The tail's own: it closes them. */
  readonly brokers: Brokers
  /** The topic's name in the cluster. */
  readonly name: string
  readonly minBytes: number
  readonly maxWaitMs: number
  readonly requestMs: number
  /** How long finding out where to begin may take. */
  readonly openMs: number
}

/** How soon a tail follows a partition that its topic got. */
const growMs = 10_000

/** Follows every partition of a topic. */
export class KafkaTail implements Tail {
  readonly #context: TailContext
  readonly #options: TailOptions
  readonly #reader: Reader
  readonly #abort = new AbortController()
  readonly #sources = new Map<number, TailSource>()
  /** What was there when the tail began, by partition, until it is delivered. */
  readonly #goals = new Map<number, number>()
  #toldCaughtUp = false
  #growing: NodeJS.Timeout | undefined

  constructor(context: TailContext, options: TailOptions) {
    this.#context = context
    this.#options = options
    const { brokers, minBytes, maxWaitMs, requestMs } = context
    const onError = (error: unknown): void => {
      // The fetch that waits when it is closed ends like one whose broker is away.
      if (!this.#abort.signal.aborted) options.onError?.(toBusError(error, `tailing ${options.topic}`))
    }
    this.#reader = new Reader({ brokers, minBytes, maxWaitMs, requestMs, onError })
  }

  async start(): Promise<void> {
    const { brokers, name, requestMs, openMs } = this.#context
    const { topic, from } = this.#options
    await persist(brokers, openMs, `tailing ${topic}`, async () => {
      await brokers.follow([name])
      for (const [partition, { start, end }] of await readOffsets(brokers, name, this.#partitions(), requestMs)) {
        const wanted = from === 'start' ? start : from === 'end' ? end : (from.get(partition) ?? start)
        this.#goals.set(partition, end)
        this.#sources.set(partition, this.#sourceOf(partition, Math.max(start, Math.min(wanted, end))))
      }
    })
    this.#growing = setInterval(() => void this.#grow(), growMs).unref()
    // The caller has its Tail before the first record comes.
    setImmediate(() => {
      this.#checkCaughtUp()
      if (!this.#abort.signal.aborted) for (const source of this.#sources.values()) this.#reader.add(source)
    })
  }

  /** Those that there are, of those that are wanted. */
  #partitions(): number[] {
    const { brokers, name } = this.#context
    return [...brokers.partitionsOf(name)].filter((partition) => this.#options.partitions?.includes(partition) ?? true)
  }

  staleMs(): number {
    const now = performance.now()
    return Math.max(0, ...[...this.#sources.values()].map((source) => now - source.confirmedAt))
  }

  async close(): Promise<void> {
    this.#abort.abort()
    clearInterval(this.#growing)
    const ended = this.#reader.close()
    // A waiting fetch ends with its connection.
    await this.#context.brokers.close()
    await ended
  }

  #sourceOf(partition: number, position: number): TailSource {
    return new TailSource(this.#options.topic, this.#context.name, partition, position, (records) => {
      if (this.#abort.signal.aborted) return
      if (records.length > 0) this.#deliver(records)
      this.#checkCaughtUp()
    })
  }

  #deliver(records: readonly BusRecord[]): void {
    try {
      this.#options.onRecords(records)
    } catch (error) {
      this.#options.onError?.(error)
    }
  }

  #checkCaughtUp(): void {
    if (this.#toldCaughtUp || this.#abort.signal.aborted) return
    for (const [partition, goal] of this.#goals) if ((this.#sources.get(partition)?.position ?? 0) < goal) return
    this.#toldCaughtUp = true
    this.#options.onCaughtUp?.()
  }

  async #grow(): Promise<void> {
    try {
      await this.#context.brokers.refresh()
    } catch {
      // The reader notices and tells, if it lasts.
      return
    }
    for (const partition of this.#partitions()) {
      if (this.#sources.has(partition) || this.#abort.signal.aborted) continue
      const source = this.#sourceOf(partition, 0)
      this.#sources.set(partition, source)
      this.#reader.add(source)
    }
  }
}

class TailSource implements Source {
  readonly topic: string
  readonly name: string
  readonly partition: number
  position: number
  /** When it was last known to be read to its end, by the monotonic clock. A tail that never was counts from its start. */
  confirmedAt = performance.now()
  readonly #onFetched: (records: readonly BusRecord[]) => void

  constructor(topic: string, name: string, partition: number, position: number, onFetched: (records: readonly BusRecord[]) => void) {
    this.topic = topic
    this.name = name
    this.partition = partition
    this.position = position
    this.#onFetched = onFetched
  }

  idle(): boolean {
    return true
  }

  take(records: readonly BusRecord[], end: number, askedAt: number): void {
    // What was there when the broker was asked is here now.
    if (this.position >= end) this.confirmedAt = askedAt
    this.#onFetched(records)
  }
}
