import type { Admin, Kafka } from 'kafkajs'
import type { Instant } from '../../schemas/index.ts'
import { BusError } from '../errors.ts'
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
import { createClient, type KafkaBusOptions, toBusError } from './client.ts'
import { Fetcher } from './fetcher.ts'
import { Member } from './member.ts'
import { Publisher } from './publisher.ts'
import { KafkaTail } from './tail.ts'
import { Topics } from './topics.ts'

/**
 * Connects to a Kafka cluster.
 *
 * @throws BusError `BUS_UNAVAILABLE` where no broker answers
 */
export async function createKafkaBus(options: KafkaBusOptions): Promise<EventBus> {
  const bus = new KafkaBus(options)
  await bus.connect()
  return bus
}

class KafkaBus implements EventBus {
  readonly adapter = 'kafka'
  readonly #kafka: Kafka
  readonly #admin: Admin
  readonly #topics: Topics
  readonly #publisher: Publisher
  readonly #prefix: string
  readonly #minBytes: number
  readonly #maxWaitMs: number
  readonly #sessionMs: number
  readonly #consumers = new Set<Consumer>()
  #closing: Promise<void> | null = null
  #closed = false

  constructor(options: KafkaBusOptions) {
    this.#kafka = createClient(options)
    this.#admin = this.#kafka.admin()
    this.#prefix = options.prefix ?? ''
    this.#topics = new Topics(this.#admin, {
      prefix: this.#prefix,
      replication: options.replication ?? null,
      minInsyncReplicas: options.minInsyncReplicas ?? null,
    })
    this.#publisher = new Publisher(this.#kafka, this.#topics)
    this.#minBytes = options.fetch?.minBytes ?? 1
    this.#maxWaitMs = options.fetch?.maxWaitMs ?? 250
    this.#sessionMs = options.sessionMs ?? 10_000
  }

  async connect(): Promise<void> {
    try {
      await Promise.all([this.#admin.connect(), this.#publisher.connect()])
    } catch (error) {
      await Promise.allSettled([this.#admin.disconnect(), this.#publisher.close()])
      throw toBusError(error, 'connecting to Kafka')
    }
  }

  async ensureTopics(topics: readonly TopicConfig[]): Promise<void> {
    await this.#do('ensuring topics', () => this.#topics.ensure(topics))
  }

  async planTopics(topics: readonly TopicConfig[]): Promise<readonly TopicPlan[]> {
    return this.#do('planning topics', () => this.#topics.plan(topics))
  }

  async growTopic(topic: string, partitions: number): Promise<void> {
    await this.#do(`growing ${topic}`, () => this.#topics.grow(topic, partitions))
  }

  async publish(records: readonly OutgoingRecord[]): Promise<readonly Position[]> {
    // Handlers that are finishing while the bus closes may still publish.
    if (this.#closed) throw closedError()
    if (records.length === 0) return []
    try {
      return await this.#publisher.publish(records)
    } catch (error) {
      throw toBusError(error, 'publishing')
    }
  }

  async consume(options: ConsumerOptions): Promise<Consumer> {
    return this.#do(`consuming as ${options.group}`, async () => {
      for (const topic of options.topics) await this.#topics.get(topic)
      const groupId = this.#prefix + options.group
      const member = new Member(
        {
          kafka: this.#kafka,
          topics: this.#topics,
          groupId,
          minBytes: this.#minBytes,
          maxWaitMs: this.#maxWaitMs,
          sessionMs: this.#sessionMs,
          startOf: (topic, partition, given) => this.#startOf(groupId, topic, partition, given, options.from === 'latest'),
        },
        options,
      )
      const consumer = this.#adopt(member)
      await member.start()
      return consumer
    })
  }

  async #startOf(groupId: string, topic: string, partition: number, given: number | undefined, latest: boolean): Promise<number> {
    const name = this.#topics.nameOf(topic)
    const state = (await this.partitions(topic)).find((each) => each.partition === partition)
    if (state === undefined) throw new BusError('UNKNOWN_PARTITION', `topic ${topic} has no partition ${partition}`)
    const found = given ?? (await this.#committed(groupId, name, partition)) ?? (latest ? state.end : state.start)
    return Math.max(state.start, Math.min(found, state.end))
  }

  async #committed(groupId: string, name: string, partition: number): Promise<number | undefined> {
    const offsets = await this.#admin.fetchOffsets({ groupId, topics: [name] })
    const offset = Number(offsets[0]?.partitions.find((each) => each.partition === partition)?.offset ?? -1)
    return offset < 0 ? undefined : offset
  }

  async tail(options: TailOptions): Promise<Tail> {
    return this.#do(`tailing ${options.topic}`, async () => {
      await this.#topics.get(options.topic)
      const tail = new KafkaTail(
        {
          fetcher: new Fetcher(this.#kafka, options.topic, this.#topics.nameOf(options.topic)),
          maxWaitMs: this.#maxWaitMs,
          minBytes: this.#minBytes,
          states: () => this.#states(options.topic),
        },
        options,
      )
      const { close } = this.#adopt(tail)
      await tail.start()
      return { close, staleMs: () => tail.staleMs() }
    })
  }

  #adopt(consumer: Consumer): Consumer {
    const adopted: Consumer = {
      close: async () => {
        this.#consumers.delete(adopted)
        await consumer.close()
      },
    }
    this.#consumers.add(adopted)
    return adopted
  }

  async *read(topic: string, partition: number, from: number, until = Number.POSITIVE_INFINITY): AsyncGenerator<readonly BusRecord[]> {
    const state = (await this.partitions(topic)).find((each) => each.partition === partition)
    if (state === undefined) throw new BusError('UNKNOWN_PARTITION', `topic ${topic} has no partition ${partition}`)
    const end = Math.min(until, state.end)
    let at = Math.max(from, state.start)
    if (at >= end) return
    const fetcher = new Fetcher(this.#kafka, topic, this.#topics.nameOf(topic))
    try {
      await fetcher.connect()
      while (at < end) {
        const [node] = [...fetcher.leaders([partition]).keys()]
        const fetched = (await fetcher.fetch(node ?? '', [{ partition, offset: at }], this.#maxWaitMs))[0]
        const records = fetched?.records.filter((record) => record.offset < end) ?? []
        for (let i = 0; i < records.length; i += 1_000) yield records.slice(i, i + 1_000)
        at = fetched?.next ?? at
        if (this.#closing !== null) throw closedError()
      }
    } catch (error) {
      throw toBusError(error, `reading ${topic}/${partition}@${at}`)
    } finally {
      await fetcher.close()
    }
  }

  async offsetsAt(topic: string, at: Instant): Promise<ReadonlyMap<number, number>> {
    return this.#do(`searching ${topic} by time`, async () => {
      await this.#topics.get(topic)
      const found = await this.#admin.fetchTopicOffsetsByTimestamp(this.#topics.nameOf(topic), at)
      return new Map(found.map(({ partition, offset }) => [partition, Number(offset)] as const).sort(([a], [b]) => a - b))
    })
  }

  async partitions(topic: string): Promise<readonly PartitionState[]> {
    return this.#do(`looking at ${topic}`, async () => {
      await this.#topics.get(topic)
      return this.#states(topic)
    })
  }

  async #states(topic: string): Promise<readonly PartitionState[]> {
    const offsets = await this.#admin.fetchTopicOffsets(this.#topics.nameOf(topic))
    return offsets
      .map(({ partition, low, high }) => ({ topic, partition, start: Number(low), end: Number(high) }))
      .sort((a, b) => a.partition - b.partition)
  }

  async groups(): Promise<readonly GroupState[]> {
    return this.#do('listing groups', async () => {
      const { groups } = await this.#admin.listGroups()
      const ours = groups.filter(({ groupId }) => groupId.startsWith(this.#prefix))
      const offsets = await Promise.all(ours.map(async ({ groupId }) => ({ groupId, topics: await this.#admin.fetchOffsets({ groupId }) })))
      return offsets.flatMap(({ groupId, topics }) =>
        topics.flatMap(({ topic: name, partitions }) => {
          const topic = this.#topics.topicOf(name)
          if (topic === null) return []
          return partitions.map(({ partition, offset }) => {
            const committed = Number(offset) < 0 ? null : Number(offset)
            return { group: groupId.slice(this.#prefix.length), topic, partition, committed }
          })
        }),
      )
    })
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#consumers].map((consumer) => consumer.close()))
    this.#closed = true
    await this.#publisher.close()
    await this.#admin.disconnect()
  }

  async #do<T>(doing: string, action: () => Promise<T>): Promise<T> {
    if (this.#closed) throw closedError()
    try {
      return await action()
    } catch (error) {
      throw toBusError(error, doing)
    }
  }
}

function closedError(): BusError {
  return new BusError('BUS_CLOSED', 'the bus is closed; open it again')
}
