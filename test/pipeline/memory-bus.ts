import { EventEmitter, once } from 'node:events'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { BusError } from '../../bus/errors.ts'
import { partitionOf } from '../../bus/partitioner.ts'
import type {
  BusRecord,
  Consumer,
  ConsumerOptions,
  EventBus,
  GroupState,
  OutgoingRecord,
  Position,
  Tail,
  TopicConfig,
  TopicPlan,
} from '../../bus/port.ts'

/** What survives a crash. */
export class MemoryLog {
  readonly topics = new Map<string, BusRecord[][]>()
  readonly commits = new Map<string, GroupState>()
  readonly appended = new EventEmitter().setMaxListeners(100)

  constructor(topics: readonly Pick<TopicConfig, 'name' | 'partitions'>[]) {
    for (const { name, partitions } of topics) this.create(name, partitions)
  }

  create(name: string, partitions: number): void {
    if (!this.topics.has(name)) {
      this.topics.set(
        name,
        Array.from({ length: partitions }, () => []),
      )
    }
  }

  partitions(topic: string): BusRecord[][] {
    const partitions = this.topics.get(topic)
    if (partitions === undefined) throw new BusError('UNKNOWN_TOPIC', `no topic ${topic}`)
    return partitions
  }

  append(record: OutgoingRecord): Position {
    const partitions = this.partitions(record.topic)
    const partition = record.partition ?? (record.key === null ? 0 : partitionOf(record.key, partitions.length))
    const records = partitions[partition] ?? []
    const position = { topic: record.topic, partition, offset: records.length }
    records.push({ ...record, ...position, value: record.value === null ? null : Uint8Array.from(record.value) })
    return position
  }

  all(topic: string): BusRecord[] {
    return this.partitions(topic).flat()
  }
}

/** A bus of one process on a log that outlives it, for tests of what restarts do. One member a group. */
export class MemoryBus implements EventBus {
  readonly adapter = 'embedded'
  readonly log: MemoryLog
  #closed = false
  readonly #running = new Set<Promise<void>>()

  constructor(log: MemoryLog) {
    this.log = log
  }

  async ensureTopics(topics: readonly TopicConfig[]): Promise<void> {
    for (const { name, partitions } of topics) this.log.create(name, partitions)
  }

  async planTopics(): Promise<readonly TopicPlan[]> {
    return []
  }

  async growTopic(topic: string, partitions: number): Promise<void> {
    const existing = this.log.partitions(topic)
    while (existing.length < partitions) existing.push([])
  }

  async publish(records: readonly OutgoingRecord[]): Promise<readonly Position[]> {
    await nextTurn()
    const positions = records.map((record) => this.log.append(record))
    this.log.appended.emit('appended')
    return positions
  }

  async consume(options: ConsumerOptions): Promise<Consumer> {
    const closing = new AbortController()
    const loops = options.topics.flatMap((topic) =>
      this.log.partitions(topic).map((_, partition) => this.#pump(options, topic, partition, closing.signal)),
    )
    const running = Promise.all(loops).then(() => {})
    this.#running.add(running)
    return {
      close: async () => {
        closing.abort()
        this.log.appended.emit('appended')
        await running
      },
    }
  }

  async tail(): Promise<Tail> {
    throw new BusError('BUS_UNAVAILABLE', 'the memory bus has no tail')
  }

  async *read(topic: string, partition: number, from: number, until?: number): AsyncIterable<readonly BusRecord[]> {
    const records = this.log.partitions(topic)[partition] ?? []
    const stop = until ?? records.length
    for (let at = from; at < stop; at += 100) yield records.slice(at, Math.min(stop, at + 100))
  }

  async offsetsAt(topic: string, at: number): Promise<ReadonlyMap<number, number>> {
    return new Map(
      this.log.partitions(topic).map((records, partition) => {
        const found = records.findIndex(({ timestamp }) => timestamp >= at)
        return [partition, found < 0 ? records.length : found]
      }),
    )
  }

  async partitions(topic: string) {
    return this.log.partitions(topic).map((records, partition) => ({ topic, partition, start: 0, end: records.length }))
  }

  async groups(): Promise<readonly GroupState[]> {
    return [...this.log.commits.values()]
  }

  async close(): Promise<void> {
    this.#closed = true
    this.log.appended.emit('appended')
    await Promise.all(this.#running)
  }

  async #pump(options: ConsumerOptions, topic: string, partition: number, closing: AbortSignal): Promise<void> {
    const commitKey = `${options.group}/${topic}/${partition}`
    const signal = closing
    const records = this.log.partitions(topic)[partition] ?? []
    const over = () => closing.aborted || this.#closed
    let held = true
    try {
      const commit = async (offset: number) => {
        await nextTurn()
        this.log.commits.set(commitKey, { group: options.group, topic, partition, committed: offset })
      }
      const control = { commit, signal, held: () => held }
      let at = (await options.onAssigned?.(topic, partition, control)) ?? this.log.commits.get(commitKey)?.committed ?? 0
      while (!over()) {
        const batch = records.slice(at, at + (options.maxBatch ?? 1_000))
        if (batch.length === 0) {
          await once(this.log.appended, 'appended')
          continue
        }
        try {
          await options.onBatch({ topic, partition, records: batch, end: records.length }, control)
          at += batch.length
        } catch (error) {
          options.onError?.(error)
          await nextTurn()
        }
      }
      await options.onRevoked?.(topic, partition)
      held = false
    } catch (error) {
      options.onError?.(error)
    }
  }
}
