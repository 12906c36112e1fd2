import { Fence } from '../../bus/fence.ts'
import type { BusRecord, EventBus, OutgoingRecord, Position, Tail } from '../../bus/port.ts'
import { Progress } from '../../bus/progress.ts'
import { openTail } from '../../bus/tail.ts'
import type { Instant, TopicName } from '../../schemas/index.ts'

export interface FencedTopicOptions {
  readonly bus: EventBus
  readonly topic: TopicName
  /** Whether `records` is filled. */
  readonly keeps: boolean
  /** A newer term began, or a replaced writer wrote. */
  readonly onChange: () => void
  readonly onError: (error: unknown) => void
}

/** A compacted topic as its writer follows it: whose term it is, and which keys a replaced writer wrote over. */
export class FencedTopic {
  readonly topic: TopicName
  readonly #options: FencedTopicOptions
  readonly #fence: Fence
  readonly #progress = new Progress()
  readonly #overwritten = new Set<string>()
  readonly #records = new Map<string, BusRecord>()
  #tail: Tail | undefined

  /** Resolves when it has read what is there. */
  static async open(options: FencedTopicOptions): Promise<FencedTopic> {
    const topic = new FencedTopic(options)
    topic.#tail = await openTail(options.bus, {
      topic: options.topic,
      from: 'start',
      onRecords: (records) => topic.#take(records),
      onError: options.onError,
    })
    return topic
  }

  private constructor(options: FencedTopicOptions) {
    this.topic = options.topic
    this.#options = options
    this.#fence = new Fence(options.topic)
  }

  get term(): number {
    return this.#fence.newest
  }

  /** Keys whose newest record does not count, and would outlive by compaction the one that does. */
  get overwritten(): ReadonlySet<string> {
    return this.#overwritten
  }

  /** The newest record of each key that counts; empty unless it `keeps` them. */
  get records(): ReadonlyMap<string, BusRecord> {
    return this.#records
  }

  reached(position: Position): Promise<void> {
    return this.#progress.reached(position)
  }

  /** The truth of the overwritten keys, to be written again. Nobody may write meanwhile. */
  async repairs(now: Instant): Promise<readonly OutgoingRecord[]> {
    const keys = new Set(this.#overwritten)
    const truth = new Map<string, BusRecord>()
    const { bus } = this.#options
    for (const { partition, start } of await bus.partitions(this.topic)) {
      const fence = new Fence(this.topic)
      for await (const records of bus.read(this.topic, partition, start)) {
        for (const record of records) {
          const counts = fence.judge(record) === 'counts'
          if (counts && record.key !== null && keys.has(record.key)) truth.set(record.key, copyOf(record))
        }
      }
    }
    return [...keys].map((key) => {
      const { value = null, headers = {} } = truth.get(key) ?? {}
      return { topic: this.topic, key, value, headers, timestamp: now }
    })
  }

  async close(): Promise<void> {
    this.#progress.close()
    await this.#tail?.close()
  }

  #take(records: readonly BusRecord[]): void {
    const before = this.#fence.newest
    let fenced = false
    for (const record of records) {
      const verdict = this.#fence.judge(record)
      const { key } = record
      if (key === null || verdict === 'term') continue
      if (verdict === 'fenced') {
        this.#overwritten.add(key)
        fenced = true
      } else this.#note(key, record)
    }
    this.#progress.note(records)
    if (fenced || this.#fence.newest !== before) this.#options.onChange()
  }

  #note(key: string, record: BusRecord): void {
    this.#overwritten.delete(key)
    if (!this.#options.keeps) return
    this.#records.delete(key)
    if (record.value !== null) this.#records.set(key, copyOf(record))
  }
}

/** A record's value may be a view on a larger buffer, and an adapter's records may read their parts when asked. */
function copyOf({ topic, partition, offset, key, value, headers, timestamp }: BusRecord): BusRecord {
  const copy = value === null ? null : Uint8Array.from(value)
  return { topic, partition, offset, key, value: copy, headers: { ...headers }, timestamp }
}
