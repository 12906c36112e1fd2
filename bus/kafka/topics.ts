import { setTimeout as delay } from 'node:timers/promises'
import kafkajs, { type IResourceConfigEntry } from 'kafkajs'
import { BusError } from '../errors.ts'
import { planOf, refusal } from '../plan.ts'
import type { TopicConfig, TopicPlan } from '../port.ts'
import type { Brokers } from './brokers.ts'
import { causes, toBusError, typeOf } from './failures.ts'
import type { NodeBroker } from './node-broker.ts'
import { persist } from './offsets.ts'

/** What publishing needs to know of a topic. */
export interface KnownTopic {
  readonly partitions: number
  readonly compacted: boolean
}

interface FoundTopic {
  readonly partitions: number
  readonly replication: number
  /** Empty where this client may not see it. */
  readonly config: ReadonlyMap<string, string>
}

export interface TopicsOptions {
  readonly prefix: string
  /** Copies of each partition, and how many must have a record before it counts; null is the cluster's default. */
  readonly replication: number | null
  readonly minInsyncReplicas: number | null
  readonly requestMs: number
  /** How long a request goes on being tried. */
  readonly persistMs: number
}

/** Largest batch that the brokers take: one record of the largest value with the largest key and headers. */
const maxMessageBytes = 2_097_152
/** As we write. The broker unpacks what others compress: kafkajs cannot read all of it, nor then anything behind it. */
const ourCompression = 'uncompressed'
/** How old what is known of a topic may be: a publisher notices within this that a topic has grown. */
const knownMs = 10_000
/** How long a publisher that was idle may wait to learn whether a topic has grown meanwhile. */
const learnMs = 1_000
/** Java's Long.MAX_VALUE. */
const forever = '9223372036854775807'
const tombstoneMs = 86_400_000
const segmentBytes = 67_108_864

/** The cluster's topics, with the prefix put on and taken off. */
export class Topics {
  readonly #brokers: Brokers
  readonly #options: TopicsOptions
  readonly #known = new Map<string, { readonly topic: KnownTopic; readonly until: number }>()

  constructor(brokers: Brokers, options: TopicsOptions) {
    this.#brokers = brokers
    this.#options = options
  }

  nameOf(topic: string): string {
    return this.#options.prefix + topic
  }

  /** The topic of a name in the cluster, null where it is not one of ours. */
  topicOf(name: string): string | null {
    return name.startsWith(this.#options.prefix) ? name.slice(this.#options.prefix.length) : null
  }

  /** @throws BusError `UNKNOWN_TOPIC` */
  async get(topic: string): Promise<KnownTopic> {
    const known = this.#known.get(topic)
    if (known === undefined) return this.#learn(topic)
    const now = performance.now()
    if (known.until > now) return known.topic
    this.#known.set(topic, { ...known, until: now + knownMs })
    // Nobody waits for brokers that are away while what was known is good enough.
    const learning = this.#learn(topic).catch(() => known.topic)
    const idle = known.until + knownMs < now
    return idle ? Promise.race([learning, delay(learnMs, known.topic, { ref: false })]) : known.topic
  }

  async #learn(topic: string): Promise<KnownTopic> {
    const found = await this.#describe(topic)
    if (found === null) throw this.#unknown(topic)
    const fresh = { partitions: found.partitions, compacted: found.config.get('cleanup.policy')?.includes('compact') ?? false }
    if (this.#known.size >= 1_000) this.#known.clear()
    this.#known.set(topic, { topic: fresh, until: performance.now() + knownMs })
    return fresh
  }

  #unknown(topic: string): BusError {
    return new BusError('UNKNOWN_TOPIC', `no topic ${this.nameOf(topic).slice(0, 200)}: create it with ensureTopics`)
  }

  async plan(topics: readonly TopicConfig[]): Promise<TopicPlan[]> {
    return Promise.all(topics.map(async (topic) => planOf(topic.name, this.#settingsOf(topic, await this.#describe(topic.name)))))
  }

  /** @throws BusError `TOPIC_MISMATCH` where one exists with other settings; nothing is created then */
  async ensure(topics: readonly TopicConfig[]): Promise<void> {
    const plans = await this.plan(topics)
    const refused = refusal(plans, (topic) => this.nameOf(topic))
    if (refused !== null) throw refused
    const missing = topics.filter((_, index) => plans[index]?.state === 'missing')
    if (missing.length === 0) return
    const made = missing.map((topic) => ({
      topic: this.nameOf(topic.name),
      numPartitions: topic.partitions,
      replicationFactor: this.#options.replication ?? -1,
      configEntries: this.#configOf(topic).map(([name, value]) => ({ name, value })),
    }))
    try {
      await this.#persist('creating topics', (broker) => broker.createTopics({ topics: made, timeout: this.#options.requestMs }))
    } catch (error) {
      // Another process may have been quicker, or an answer was lost; then what is there is checked.
      if (!causes(error).some((cause) => typeOf(cause) === 'TOPIC_ALREADY_EXISTS')) throw error
      return this.ensure(topics)
    }
    await this.#led(missing.map((topic) => ({ name: this.nameOf(topic.name), partitions: topic.partitions })))
  }

  /** @throws BusError `TOPIC_MISMATCH` where there are more partitions already */
  async grow(topic: string, partitions: number): Promise<void> {
    const name = this.nameOf(topic)
    const has = (await this.#describe(topic))?.partitions
    if (has === undefined) throw this.#unknown(topic)
    if (has > partitions)
      throw new BusError('TOPIC_MISMATCH', `growing topic ${name}: it has ${has} partitions, and none can be taken away`)
    const topicPartitions = [{ topic: name, count: partitions }]
    const { requestMs } = this.#options
    if (has < partitions) {
      await this.#persist(`growing ${name}`, (broker) => broker.createPartitions({ topicPartitions, timeout: requestMs })).catch(
        async (error: unknown) => {
          // A lost answer: it has grown.
          if ((await this.#describe(topic))?.partitions !== partitions) throw error
        },
      )
    }
    await this.#led([{ name, partitions }])
    this.#known.delete(topic)
  }

  /** Waits until every broker knows a leader of every partition. */
  async #led(topics: readonly { readonly name: string; readonly partitions: number }[]): Promise<void> {
    const { requestMs, persistMs } = this.#options
    const names = topics.map(({ name }) => name)
    await persist(this.#brokers, persistMs, `waiting for leaders of ${names.join(', ')}`, async () => {
      const answers = await this.#brokers.askEach(requestMs, (broker) => broker.metadata(names).catch(unknownYet))
      for (const { topicMetadata } of answers) {
        for (const { name, partitions } of topics) {
          const known = topicMetadata.find(({ topic }) => topic === name)?.partitionMetadata ?? []
          if (known.filter(({ leader }) => leader >= 0).length < partitions) throw new Error(`${name} has no leaders yet`)
        }
      }
    })
  }

  /** Null where it is missing. */
  async #describe(topic: string): Promise<FoundTopic | null> {
    const name = this.nameOf(topic)
    try {
      const { topicMetadata } = await this.#persist(`looking at topic ${name}`, (broker) => broker.metadata([name]))
      const partitions = topicMetadata[0]?.partitionMetadata ?? []
      const replication = Math.min(...partitions.map(({ replicas }) => replicas.length))
      return { partitions: partitions.length, replication, config: await this.#configOfTopic(name) }
    } catch (error) {
      if (typeOf(error) === 'UNKNOWN_TOPIC_OR_PARTITION' || typeOf(error) === 'INVALID_TOPIC_EXCEPTION') return null
      throw error
    }
  }

  /** Empty where this client may not see it. */
  async #configOfTopic(name: string): Promise<ReadonlyMap<string, string>> {
    const resources = [{ type: kafkajs.ConfigResourceTypes.TOPIC, name }]
    try {
      const described = await this.#persist(`looking at topic ${name}`, (broker) => broker.describeConfigs({ resources }))
      const entries = described.resources.flatMap((resource) => resource.configEntries)
      return new Map(entries.map(({ configName, configValue }) => [configName, configValue]))
    } catch (error) {
      if (toBusError(error, '').code === 'BUS_FORBIDDEN') return new Map()
      throw error
    }
  }

  #persist<T>(doing: string, request: (broker: NodeBroker) => Promise<T>): Promise<T> {
    const { requestMs, persistMs } = this.#options
    return persist(this.#brokers, persistMs, doing, () => this.#brokers.askAny(requestMs, request))
  }

  /** What a topic is made with. */
  #configOf(topic: TopicConfig): [IResourceConfigEntry['name'], string][] {
    const config: [string, string][] = [
      ...this.#decidingOf(topic),
      ['max.message.bytes', String(maxMessageBytes)],
      ['compression.type', ourCompression],
      // The broker would refuse events of a clock that is an hour fast; judging clocks is for who reads them.
      ['message.timestamp.after.max.ms', forever],
    ]
    if (topic.retentionMs !== null) return config
    // Only what is not written to any more is compacted: so a file is closed soon, and little dirt is enough.
    const segmentMs = Math.max(600_000, Math.round((topic.minCompactionLagMs ?? 0) / 168))
    return [
      ...config,
      ['delete.retention.ms', String(tombstoneMs)],
      ['segment.ms', String(segmentMs)],
      ['segment.bytes', String(segmentBytes)],
      ['min.cleanable.dirty.ratio', '0.1'],
    ]
  }

  /** Settings that have to be as wanted. */
  #decidingOf(topic: TopicConfig): [string, string][] {
    const replicas: [string, string][] =
      this.#options.minInsyncReplicas === null ? [] : [['min.insync.replicas', String(this.#options.minInsyncReplicas)]]
    const policy: [string, string][] =
      topic.retentionMs === null
        ? [
            ['cleanup.policy', 'compact'],
            ['min.compaction.lag.ms', String(topic.minCompactionLagMs ?? 0)],
          ]
        : [
            ['cleanup.policy', 'delete'],
            ['retention.ms', String(topic.retentionMs)],
          ]
    return [...replicas, ...policy, ['message.timestamp.type', topic.timestamps === 'append' ? 'LogAppendTime' : 'CreateTime']]
  }

  #settingsOf(topic: TopicConfig, found: FoundTopic | null): TopicPlan['settings'] {
    const setting = (name: string, wanted: string, is: string | undefined, fits = is === wanted): TopicPlan['settings'][number] => ({
      name,
      wanted,
      is: is ?? null,
      differs: is !== undefined && !fits,
    })
    const largest = found?.config.get('max.message.bytes')
    return [
      setting('partitions', String(topic.partitions), found?.partitions.toString()),
      ...(this.#options.replication === null
        ? []
        : [setting('replication', String(this.#options.replication), found?.replication.toString())]),
      ...this.#decidingOf(topic).map(([name, wanted]) => setting(name, wanted, found?.config.get(name))),
      setting('compression.type', ourCompression, found?.config.get('compression.type')),
      setting('max.message.bytes', `at least ${maxMessageBytes}`, largest, Number(largest) >= maxMessageBytes),
    ]
  }
}

function unknownYet(error: unknown): { topicMetadata: [] } {
  if (typeOf(error) === 'UNKNOWN_TOPIC_OR_PARTITION') return { topicMetadata: [] }
  throw error
}
