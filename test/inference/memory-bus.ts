import { BusError } from '../../bus/errors.ts'
import type { BusRecord, Consumer, EventBus, OutgoingRecord, Position, Tail, TailOptions, TopicPlan } from '../../bus/port.ts'

/**
 * A bus in memory, one partition a topic, that can be told to fail: enough for what keys, emitter and node ask
 * of it. The real adapters have their own suite.
 */
export class MemoryBus implements EventBus {
  readonly adapter = 'embedded'
  readonly records: BusRecord[] = []
  /** While set, `publish` fails with it. */
  failure: Error | undefined
  /** While set, what is published is kept and not told to tails. */
  silent = false
  /** Topics whose records are refused for good. */
  readonly refused = new Set<string>()
  /** What tails say of themselves. */
  staleMs = 0
  /** Records in each `publish` that went through. */
  readonly batches: number[] = []
  readonly #tails = new Map<string, Set<TailOptions>>()

  async ensureTopics(): Promise<void> {}

  async planTopics(): Promise<readonly TopicPlan[]> {
    return []
  }

  async growTopic(): Promise<void> {}

  async publish(records: readonly OutgoingRecord[]): Promise<readonly Position[]> {
    await new Promise((resolve) => setImmediate(resolve))
    if (this.failure !== undefined) throw this.failure
    if (records.some(({ topic }) => this.refused.has(topic))) throw new BusError('INVALID_RECORD', 'publishing: refused by the test')
    this.batches.push(records.length)
    return records.map((record) => this.#append(record))
  }

  async tail(options: TailOptions): Promise<Tail> {
    const listening = this.#tails.get(options.topic) ?? new Set()
    this.#tails.set(options.topic, listening.add(options))
    const had = options.from === 'start' ? this.of(options.topic) : []
    setImmediate(() => {
      if (had.length > 0) options.onRecords(had)
      options.onCaughtUp?.()
    })
    return {
      close: async () => {
        listening.delete(options)
      },
      staleMs: () => this.staleMs,
    }
  }

  of(topic: string): BusRecord[] {
    return this.records.filter((record) => record.topic === topic)
  }

  consume(): Promise<Consumer> {
    throw new Error('not part of this bus')
  }

  read(): AsyncIterable<readonly BusRecord[]> {
    throw new Error('not part of this bus')
  }

  offsetsAt(): Promise<ReadonlyMap<number, number>> {
    throw new Error('not part of this bus')
  }

  async partitions(): Promise<readonly []> {
    return []
  }

  async groups(): Promise<readonly []> {
    return []
  }

  async close(): Promise<void> {}

  #append({ topic, key, value, headers, timestamp }: OutgoingRecord): Position {
    const record: BusRecord = { topic, key, value, headers, timestamp, partition: 0, offset: this.of(topic).length }
    this.records.push(record)
    if (!this.silent) for (const { onRecords } of this.#tails.get(topic) ?? []) setImmediate(() => onRecords([record]))
    return { topic, partition: 0, offset: record.offset }
  }
}

export const unavailable = () => new BusError('BUS_UNAVAILABLE', 'publishing: the test took the bus away')

/** Polls until `holds`, for what a real component does in its own time. */
export async function until(holds: () => boolean, withinMs = 5_000): Promise<void> {
  for (const deadline = Date.now() + withinMs; !holds(); ) {
    if (Date.now() > deadline) throw new Error(`not so within ${withinMs} ms: ${holds}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
