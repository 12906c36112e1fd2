import kafkajs, { type Admin, type IResourceConfigEntry } from 'kafkajs'
import { BusError } from '../errors.ts'
import { planOf, refusal } from '../plan.ts'
import type { TopicConfig, TopicPlan } from '../port.ts'
import { toBusError, typeOf } from './client.ts'

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
}

/** Largest batch that the brokers take: one record of the largest value with the largest key and headers. */
const maxMessageBytes = 2_097_152
/** How old what is known of a topic may be: a publisher notices within this that a topic has grown. */
const knownMs = 10_000
/** Java's Long.MAX_VALUE. */
const forever = '9223372036854775807'
const tombstoneMs = 86_400_000
const segmentBytes = 67_108_864

/** The cluster's topics, with the prefix put on and taken off. */
export class Topics {
  readonly #admin: Admin
  readonly #prefix: string
  readonly #replication: number | null
  readonly #minInsync: number | null
  readonly #known = new Map<string, { readonly topic: KnownTopic; readonly until: number }>()

  constructor(admin: Admin, options: TopicsOptions) {
    this.#admin = admin
    this.#prefix = options.prefix
    this.#replication = options.replication
    this.#minInsync = options.minInsyncReplicas
  }

  nameOf(topic: string): string {
    return this.#prefix + topic
  }

  /** The topic of a name in the cluster, null where it is not one of ours. */
  topicOf(name: string): string | null {
    return name.startsWith(this.#prefix) ? name.slice(this.#prefix.length) : null
  }

  /** @throws BusError `UNKNOWN_TOPIC` */
  async get(topic: string): Promise<KnownTopic> {
    const known = this.#known.get(topic)
    if (known !== undefined && known.until > performance.now()) return known.topic
    const found = (await this.#describe([topic])).get(topic)
    if (found === undefined)
      throw new BusError('UNKNOWN_TOPIC', `no topic ${this.nameOf(topic).slice(0, 200)}: create it with ensureTopics`)
    const fresh = { partitions: found.partitions, compacted: found.config.get('cleanup.policy')?.includes('compact') ?? false }
    if (this.#known.size >= 1_000) this.#known.clear()
    this.#known.set(topic, { topic: fresh, until: performance.now() + knownMs })
    return fresh
  }

  async plan(topics: readonly TopicConfig[]): Promise<TopicPlan[]> {
    const found = await this.#describe(topics.map((topic) => topic.name))
    return topics.map((topic) => planOf(topic.name, this.#settingsOf(topic, found.get(topic.name))))
  }

  /** @throws BusError `TOPIC_MISMATCH` where one exists with other settings; nothing is created then */
  async ensure(topics: readonly TopicConfig[]): Promise<void> {
    const plans = await this.plan(topics)
    const refused = refusal(plans, (topic) => this.nameOf(topic))
    if (refused !== null) throw refused
    const missing = topics.filter((_, index) => plans[index]?.state === 'missing')
    if (missing.length === 0) return
    try {
      await this.#admin.createTopics({
        waitForLeaders: true,
        topics: missing.map((topic) => ({
          topic: this.nameOf(topic.name),
          numPartitions: topic.partitions,
          replicationFactor: this.#replication ?? -1,
          configEntries: this.#configOf(topic).map(([name, value]) => ({ name, value })),
        })),
      })
    } catch (error) {
      // Another process may have been quicker; then what it made is checked.
      if (typeOf(error) !== 'TOPIC_ALREADY_EXISTS') throw toBusError(error, 'creating topics')
      await this.ensure(topics)
    }
  }

  /** @throws BusError `TOPIC_MISMATCH` where there are more partitions already */
  async grow(topic: string, partitions: number): Promise<void> {
    const name = this.nameOf(topic)
    const has = (await this.#describe([topic])).get(topic)?.partitions
    if (has === undefined) throw new BusError('UNKNOWN_TOPIC', `no topic ${name.slice(0, 200)}: create it with ensureTopics`)
    if (has > partitions)
      throw new BusError('TOPIC_MISMATCH', `growing topic ${name}: it has ${has} partitions, and none can be taken away`)
    if (has < partitions) await this.#admin.createPartitions({ topicPartitions: [{ topic: name, count: partitions }] })
    this.#known.delete(topic)
  }

  async #describe(topics: readonly string[]): Promise<Map<string, FoundTopic>> {
    const existing = new Set(await this.#admin.listTopics())
    const names = topics.map((topic) => this.nameOf(topic)).filter((name) => existing.has(name))
    if (names.length === 0) return new Map()
    const [metadata, configs] = await Promise.all([this.#admin.fetchTopicMetadata({ topics: names }), this.#configs(names)])
    return new Map(
      metadata.topics.map(({ name, partitions }) => [
        this.topicOf(name) ?? name,
        {
          partitions: partitions.length,
          replication: Math.min(...partitions.map(({ replicas }) => replicas.length)),
          config: configs.get(name) ?? new Map<string, string>(),
        },
      ]),
    )
  }

  /** Settings by topic; empty where this client may not see them. */
  async #configs(names: readonly string[]): Promise<Map<string, Map<string, string>>> {
    try {
      const resources = names.map((name) => ({ type: kafkajs.ConfigResourceTypes.TOPIC, name }))
      const described = await this.#admin.describeConfigs({ includeSynonyms: false, resources })
      return new Map(described.resources.map(({ resourceName, configEntries }) => [resourceName, entriesOf(configEntries)]))
    } catch (error) {
      if (typeOf(error) !== 'TOPIC_AUTHORIZATION_FAILED') throw error
      // The right may be there for some of them.
      if (names.length === 1) return new Map()
      const each = await Promise.all(names.map((name) => this.#configs([name])))
      return new Map(each.flatMap((found) => [...found]))
    }
  }

  /** What a topic is made with. */
  #configOf(topic: TopicConfig): [IResourceConfigEntry['name'], string][] {
    const config: [string, string][] = [
      ...this.#decidingOf(topic),
      ['max.message.bytes', String(maxMessageBytes)],
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
    const replicas: [string, string][] = this.#minInsync === null ? [] : [['min.insync.replicas', String(this.#minInsync)]]
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

  #settingsOf(topic: TopicConfig, found: FoundTopic | undefined): TopicPlan['settings'] {
    const setting = (name: string, wanted: string, is: string | undefined, fits = is === wanted): TopicPlan['settings'][number] => ({
      name,
      wanted,
      is: is ?? null,
      differs: is !== undefined && !fits,
    })
    const largest = found?.config.get('max.message.bytes')
    return [
      setting('partitions', String(topic.partitions), found && String(found.partitions)),
      ...(this.#replication === null ? [] : [setting('replication', String(this.#replication), found && String(found.replication))]),
      ...this.#decidingOf(topic).map(([name, wanted]) => setting(name, wanted, found?.config.get(name))),
      setting('max.message.bytes', `at least ${maxMessageBytes}`, largest, Number(largest) >= maxMessageBytes),
    ]
  }
}

function entriesOf(entries: readonly { configName: string; configValue: string }[]): Map<string, string> {
  return new Map(entries.map(({ configName, configValue }) => [configName, configValue]))
}
