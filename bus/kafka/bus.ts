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
import { Brokers } from './brokers.ts'
import type { KafkaBusOptions } from './client.ts'
import { Complaints } from './complaints.ts'
import { toBusError } from './failures.ts'
import { Member } from './member.ts'
import { type Offsets, offsetsAtTime, persist, readOffsets } from './offsets.ts'
import { Publisher } from './publisher.ts'
import { Reader, type Source } from './reader.ts'
import { KafkaTail } from './tail.ts'
import { Topics } from './topics.ts'

/** How long what is asked of the cluster goes on being tried. */
const persistMs = 20_000

/**
 * Connects to a Kafka cluster.
 *
 * @throws BusError `BUS_UNAVAILABLE` where no broker answers, `BUS_UNTRUSTED` or `BUS_FORBIDDEN` where it and we do not trust each other
 */
export async function createKafkaBus(options: KafkaBusOptions): Promise<EventBus> {
  const bus = new KafkaBus(options)
  await bus.connect()
  return bus
}

class KafkaBus implements EventBus {
  readonly adapter = 'kafka'
  readonly #options: KafkaBusOptions
  readonly #complaints: Complaints
  readonly #prefix: string
  readonly #fetch: { readonly minBytes: number; readonly maxWaitMs: number; readonly requestMs: number }
  /** For questions about topics, offsets and groups; records go over others. */
  readonly #brokers: Brokers
  readonly #publishing: Brokers
  readonly #topics: Topics
  readonly #publisher: Publisher
  readonly #consumers = new Set<Consumer>()
  #closing: Promise<void> | null = null
  #closed = false

  constructor(options: KafkaBusOptions) {
    this.#options = options
    this.#complaints = new Complaints(options.log)
    this.#prefix = options.prefix ?? ''
    const requestMs = options.requestMs ?? 5_000
    this.#fetch = { minBytes: options.fetch?.minBytes ?? 1, maxWaitMs: options.fetch?.maxWaitMs ?? 250, requestMs }
    this.#brokers = this.#connections()
    this.#publishing = this.#connections()
    const { replication = null, minInsyncReplicas = null } = options
    this.#topics = new Topics(this.#brokers, { prefix: this.#prefix, replication, minInsyncReplicas, requestMs, persistMs })
    const { publishMs = 20_000 } = options
    this.#publisher = new Publisher({ brokers: this.#publishing, topics: this.#topics, requestMs, publishMs })
  }

  #connections(): Brokers {
    return new Brokers(this.#options, this.#complaints)
  }

  async connect(): Promise<void> {
    try {
      await Promise.all([this.#brokers.connect(), this.#publishing.connect()])
    } catch (error) {
      await Promise.all([this.#brokers.close(), this.#publishing.close()])
      throw toBusError(error, `connecting to Kafka at ${placeOf(this.#options)}`)
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
    return this.#do('publishing', () => this.#publisher.publish(records))
  }

  async consume(options: ConsumerOptions): Promise<Consumer> {
    return this.#do(`consuming as ${options.group}`, async () => {
      for (const topic of options.topics) await this.#topics.get(topic)
      const context = { joining: this.#connections(), brokers: this.#connections(), topics: this.#topics }
      const { sessionMs = 6_000 } = this.#options
      const groupId = this.#prefix + options.group
      const member = new Member({ ...context, ...this.#fetch, groupId, sessionMs, commitMs: persistMs }, options)
      return this.#adopt(member)
    })
  }

  async tail(options: TailOptions): Promise<Tail> {
    return this.#do(`tailing ${options.topic}`, async () => {
      await this.#topics.get(options.topic)
      const name = this.#topics.nameOf(options.topic)
      const tail = new KafkaTail({ brokers: this.#connections(), name, ...this.#fetch, openMs: persistMs }, options)
      const { close } = await this.#adopt(tail)
      return { close, staleMs: () => tail.staleMs() }
    })
  }

  async #adopt(consumer: Consumer & { start(): Promise<void> }): Promise<Consumer> {
    const adopted: Consumer = {
      close: async () => {
        this.#consumers.delete(adopted)
        await consumer.close()
      },
    }
    this.#consumers.add(adopted)
    try {
      await consumer.start()
      return adopted
    } catch (error) {
      await adopted.close()
      throw error
    }
  }

  async *read(topic: string, partition: number, from: number, until = Number.POSITIVE_INFINITY): AsyncGenerator<readonly BusRecord[]> {
    const offsets = (await this.#offsetsOf(topic)).get(partition)
    if (offsets === undefined) throw new BusError('UNKNOWN_PARTITION', `topic ${topic} has no partition ${partition}`)
    const end = Math.min(until, offsets.end)
    const start = Math.max(from, offsets.start)
    if (start >= end) return
    const brokers = this.#connections()
    const fetched: (readonly BusRecord[])[] = []
    let arrived = Promise.withResolvers<void>()
    const source: Source = {
      topic,
      name: this.#topics.nameOf(topic),
      partition,
      position: start,
      idle: () => fetched.length === 0 && source.position < end,
      take: (records) => {
        fetched.push(records)
        arrived.resolve()
      },
    }
    const failures: { last?: BusError } = {}
    const onError = (error: unknown): void => {
      failures.last = toBusError(error, `reading ${topic}/${partition}@${source.position}`)
      // No patience helps against this one.
      if (failures.last.code === 'BUS_FORBIDDEN') arrived.resolve()
    }
    const reader = new Reader({ ...this.#fetch, brokers, onError })
    try {
      await persist(brokers, persistMs, `reading ${topic}/${partition}`, () => brokers.follow([source.name]))
      reader.add(source)
      let reached = start
      for (let patience = performance.now() + persistMs; ; ) {
        const late = setTimeout(() => arrived.resolve(), 1_000)
        await arrived.promise.finally(() => clearTimeout(late))
        arrived = Promise.withResolvers()
        if (this.#closing !== null) throw closedError()
        if (failures.last?.code === 'BUS_FORBIDDEN') throw failures.last
        if (source.position === reached && performance.now() > patience) throw failures.last ?? new Error('no broker has what comes next')
        for (const records of fetched) {
          const wanted = records.filter((record) => record.offset < end)
          for (let i = 0; i < wanted.length; i += 1_000) yield wanted.slice(i, i + 1_000)
        }
        // However long the reader took over it.
        if (source.position > reached) patience = performance.now() + persistMs
        reached = source.position
        fetched.length = 0
        if (source.position >= end) return
        reader.nudge()
      }
    } catch (error) {
      throw toBusError(error, `reading ${topic}/${partition}@${source.position}`)
    } finally {
      const ended = reader.close()
      await brokers.close()
      await ended
    }
  }

  async offsetsAt(topic: string, at: Instant): Promise<ReadonlyMap<number, number>> {
    const offsets = await this.#offsetsOf(topic)
    return this.#do(`searching ${topic} by time`, async () => {
      const name = this.#topics.nameOf(topic)
      const find = (): Promise<Map<number, number>> => offsetsAtTime(this.#brokers, name, [...offsets.keys()], at, this.#fetch.requestMs)
      const found = await persist(this.#brokers, persistMs, `searching ${topic} by time`, find)
      return new Map([...offsets].map(([partition, { end }]) => [partition, found.get(partition) ?? end]))
    })
  }

  async partitions(topic: string): Promise<readonly PartitionState[]> {
    return [...(await this.#offsetsOf(topic))].map(([partition, { start, end }]) => ({ topic, partition, start, end }))
  }

  #offsetsOf(topic: string): Promise<Map<number, Offsets>> {
    return this.#do(`looking at ${topic}`, async () => {
      const { partitions } = await this.#topics.get(topic)
      const name = this.#topics.nameOf(topic)
      return persist(this.#brokers, persistMs, `looking at ${topic}`, async () => {
        await this.#brokers.follow([name])
        if (this.#brokers.partitionsOf(name).length < partitions) await this.#brokers.refresh()
        return readOffsets(this.#brokers, name, this.#brokers.partitionsOf(name), this.#fetch.requestMs)
      })
    })
  }

  async groups(): Promise<readonly GroupState[]> {
    return this.#do('listing groups', async () => {
      const { requestMs } = this.#fetch
      // Each broker lists the groups that it coordinates.
      const listed = await persist(this.#brokers, persistMs, 'listing groups', () =>
        this.#brokers.askEach(requestMs, (broker) => broker.listGroups()),
      )
      const groups = new Set(listed.flatMap(({ groups: each }) => each.map(({ groupId }) => groupId)))
      const ours = [...groups].filter((groupId) => groupId.startsWith(this.#prefix)).sort()
      return (await Promise.all(ours.map((groupId) => this.#committedBy(groupId)))).flat()
    })
  }

  async #committedBy(groupId: string): Promise<GroupState[]> {
    let misled = false
    const answer = await persist(this.#brokers, persistMs, `looking at group ${groupId}`, async () => {
      const node = await this.#brokers.coordinatorOf(groupId, misled)
      misled = true
      return this.#brokers.ask(node, this.#fetch.requestMs, (broker) => broker.offsetFetch({ groupId, topics: [] }))
    })
    return answer.responses.flatMap(({ topic: name, partitions }) => {
      const topic = this.#topics.topicOf(name)
      if (topic === null) return []
      return partitions.map(({ partition, offset }) => {
        const committed = Number(offset) < 0 ? null : Number(offset)
        return { group: groupId.slice(this.#prefix.length), topic, partition, committed }
      })
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
    await Promise.all([this.#brokers.close(), this.#publishing.close()])
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

/** As what, and how: one of them being wrong looks like brokers that are away. */
function placeOf({ brokers, ssl = false, sasl }: KafkaBusOptions): string {
  const user = sasl !== undefined && 'username' in sasl ? `, as ${sasl.username}` : ''
  return `${brokers.join(', ')} (${ssl === false ? 'without TLS' : 'by TLS'}${user})`
}

function closedError(): BusError {
  return new BusError('BUS_CLOSED', 'the bus is closed; open it again')
}
