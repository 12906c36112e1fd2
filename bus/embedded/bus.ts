import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Instant } from '../../schemas/index.ts'
import { BusError } from '../errors.ts'
import { checkOutgoing } from '../outgoing.ts'
import { partitionOf } from '../partitioner.ts'
import type {
  BusRecord,
  Consumer,
  ConsumerOptions,
  EventBus,
  GroupState,
  OutgoingRecord,
  PartitionState,
  Position,
  Tail,
  TailOptions,
  TopicConfig,
  TopicPlan,
} from '../port.ts'
import { Catalog } from './catalog.ts'
import { readFrame } from './frame.ts'
import { Group } from './group.ts'
import { IndexStore } from './index-store.ts'
import { Journal } from './journal.ts'
import { lockDirectory } from './lock.ts'
import { compact, retain } from './maintenance.ts'
import type { Partition } from './partition.ts'
import { type LocalTail, openTail } from './tail.ts'
import { Writer } from './writer.ts'

export interface EmbeddedBusOptions {
  /** The data directory; one process at a time. */
  readonly path: string
  /** For retention, which goes by when a record came, and for topics that carry the log's own time. Default the system's clock. */
  readonly clock?: () => Instant
  readonly log?: Logger
  /** Between passes of retention and compaction. Default 30 s. */
  readonly maintenanceMs?: number
}

/** The log in this process, with what only an adapter that owns its files has. */
export interface EmbeddedBus extends EventBus {
  /** One pass of retention and compaction over everything; the adapter does it by itself now and then. */
  maintain(): Promise<void>
}

const maxGroups = 10_000

/**
 * Opens (or makes) the log in a directory.
 *
 * @throws BusError `BUS_LOCKED` where another process has it open, `CORRUPT_LOG` where the files are not what was written
 */
export async function createEmbeddedBus(options: EmbeddedBusOptions): Promise<EmbeddedBus> {
  const unlock = lockDirectory(options.path)
  try {
    return new LocalBus(options, unlock)
  } catch (error) {
    unlock()
    throw error
  }
}

class LocalBus implements EmbeddedBus {
  readonly adapter = 'embedded'
  readonly #unlock: () => void
  readonly #clock: () => Instant
  readonly #log: Logger | undefined
  readonly #index: IndexStore
  readonly #catalog: Catalog
  readonly #writer: Writer
  readonly #groups = new Map<string, Group>()
  /** By group, then `topic/partition`. */
  readonly #committed = new Map<string, Map<string, number>>()
  readonly #consumers = new Set<Consumer>()
  readonly #tails = new Set<LocalTail>()
  readonly #timer: NodeJS.Timeout
  #maintaining: Promise<void> | null = null
  #closing: Promise<void> | null = null
  #closed = false

  constructor(options: EmbeddedBusOptions, unlock: () => void) {
    this.#unlock = unlock
    this.#clock = options.clock ?? Date.now
    this.#log = options.log
    this.#index = new IndexStore(options.path)
    this.#catalog = new Catalog(this.#index)
    for (const { group, topic, partition, offset } of this.#index.offsets()) this.#keep(group, `${topic}/${partition}`, offset)
    const frames: Buffer[] = []
    const journal = Journal.open(options.path, this.#index.applied, (frame) => frames.push(frame))
    this.#writer = new Writer({ journal, index: this.#index, log: options.log, clock: this.#clock })
    for (const frame of frames) this.#restore(frame)
    void this.#writer.index()
    this.#timer = setInterval(() => {
      this.maintain().catch((error: unknown) => this.#log?.error({ err: error }, 'retention and compaction failed'))
    }, options.maintenanceMs ?? 30_000).unref()
  }

  #restore(frame: Buffer): void {
    const items = readFrame(frame)
    this.#writer.restore(items, (id, number) => this.#catalog.byId(id, number))
    for (const { topicId, partition, offset, group } of items) {
      if (group !== undefined) this.#keep(group, `${this.#catalog.byId(topicId, partition).topic.name}/${partition}`, offset)
    }
  }

  async ensureTopics(topics: readonly TopicConfig[]): Promise<void> {
    this.#checkOpen()
    await this.#catalog.ensure(topics)
  }

  async planTopics(topics: readonly TopicConfig[]): Promise<readonly TopicPlan[]> {
    this.#checkOpen()
    return this.#catalog.plan(topics)
  }

  async growTopic(topic: string, partitions: number): Promise<void> {
    this.#checkOpen()
    await this.#catalog.grow(topic, partitions)
    for (const tail of this.#tails) tail.grow(topic)
    for (const group of this.#groups.values()) await group.grow(topic)
  }

  async publish(records: readonly OutgoingRecord[]): Promise<readonly Position[]> {
    // Handlers that are finishing while the bus closes may still publish.
    if (this.#closed) throw closedError()
    if (records.length === 0) return []
    return this.#writer.publish(records, (record) => this.#partitionFor(record))
  }

  #keyless = 0

  #partitionFor(record: OutgoingRecord): Partition {
    const partitions = this.#catalog.partitionsOf(record.topic)
    checkOutgoing(record, partitions[0]?.topic.retentionMs === null)
    // Records without a key go round, as Kafka's producers have them do.
    const number =
      record.partition ?? (record.key === null ? this.#keyless++ % partitions.length : partitionOf(record.key, partitions.length))
    return this.#catalog.partition(record.topic, number)
  }

  async consume(options: ConsumerOptions): Promise<Consumer> {
    this.#checkOpen()
    for (const topic of options.topics) this.#catalog.partitionsOf(topic)
    const group = this.#groupOf(options.group)
    return this.#adopt(await group.join(options), () => {
      if (group.isEmpty) this.#groups.delete(options.group)
    })
  }

  #groupOf(name: string): Group {
    const existing = this.#groups.get(name)
    if (existing !== undefined) return existing
    if (name.length === 0 || name.length > 255) throw new BusError('INVALID_RECORD', 'a group has a name of 1 to 255 characters')
    const group = new Group(
      {
        committed: (partition) => this.#committed.get(name)?.get(`${partition.topic.name}/${partition.number}`),
        commit: async (partition, offset) => {
          await this.#writer.commit({ group: name, topic: partition.topic, partition: partition.number, offset })
          this.#keep(name, `${partition.topic.name}/${partition.number}`, offset)
        },
      },
      (topic) => this.#catalog.partitionsOf(topic),
    )
    this.#groups.set(name, group)
    return group
  }

  #keep(group: string, partition: string, offset: number): void {
    const offsets = this.#committed.get(group)
    if (offsets !== undefined) {
      offsets.set(partition, offset)
      return
    }
    if (this.#committed.size >= maxGroups)
      throw new BusError('BUS_FULL', `committing as ${group}: more than ${maxGroups} groups have offsets`)
    this.#committed.set(group, new Map([[partition, offset]]))
  }

  async tail(options: TailOptions): Promise<Tail> {
    this.#checkOpen()
    const tail = openTail(() => this.#catalog.partitionsOf(options.topic), options)
    this.#tails.add(tail)
    return this.#adopt(tail, () => this.#tails.delete(tail))
  }

  #adopt<C extends Consumer>(consumer: C, onClosed: () => void): C {
    const adopted = {
      ...consumer,
      close: async () => {
        await consumer.close()
        if (this.#consumers.delete(adopted)) onClosed()
      },
    }
    this.#consumers.add(adopted)
    return adopted
  }

  async *read(topic: string, partition: number, from: number, until = Number.POSITIVE_INFINITY): AsyncGenerator<readonly BusRecord[]> {
    this.#checkOpen()
    const source = this.#catalog.partition(topic, partition)
    const end = Math.min(until, source.end)
    for (let at = from; at < end; ) {
      const records = source.read(at, 1_000).filter((record) => record.offset < end)
      const last = records.at(-1)
      if (last === undefined) return
      yield records
      at = last.offset + 1
      await nextTurn()
      this.#checkOpen()
    }
  }

  async offsetsAt(topic: string, at: Instant): Promise<ReadonlyMap<number, number>> {
    this.#checkOpen()
    return new Map(this.#catalog.partitionsOf(topic).map((partition) => [partition.number, partition.offsetAt(at)]))
  }

  async partitions(topic: string): Promise<readonly PartitionState[]> {
    this.#checkOpen()
    return this.#catalog.partitionsOf(topic).map(({ number, start, end }) => ({ topic, partition: number, start, end }))
  }

  async groups(): Promise<readonly GroupState[]> {
    this.#checkOpen()
    return [...this.#committed].flatMap(([group, offsets]) =>
      [...offsets].map(([place, committed]) => {
        const slash = place.lastIndexOf('/')
        return { group, topic: place.slice(0, slash), partition: Number(place.slice(slash + 1)), committed }
      }),
    )
  }

  maintain(): Promise<void> {
    this.#checkOpen()
    this.#maintaining ??= this.#maintainNow().finally(() => {
      this.#maintaining = null
    })
    return this.#maintaining
  }

  async #maintainNow(): Promise<void> {
    await this.#writer.index()
    for (const partition of this.#catalog.all()) {
      if (this.#closing !== null) return
      await retain(partition, this.#index, this.#clock())
      await compact(partition, this.#index, this.#clock())
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all([...this.#consumers].map((consumer) => consumer.close()))
    await this.#maintaining?.catch(() => {})
    this.#closed = true
    try {
      await this.#writer.close()
      await this.#index.close()
    } finally {
      this.#unlock()
    }
  }

  #checkOpen(): void {
    if (this.#closing !== null) throw closedError()
  }
}

function closedError(): BusError {
  return new BusError('BUS_CLOSED', 'the bus is closed; open it again')
}
