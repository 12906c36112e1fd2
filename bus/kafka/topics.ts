import kafkajs, { type Admin, type IResourceConfigEntry } from 'kafkajs'
import { BusError } from '../errors.ts'
import type { TopicConfig } from '../port.ts'
import { toBusError, typeOf } from './client.ts'

/** What publishing needs to know of a topic. */
export interface KnownTopic {
  readonly partitions: number
  readonly compacted: boolean
}

/** Largest batch that the brokers take: one record of the largest value with the largest key and headers. */
const maxMessageBytes = 2_097_152
const knownMs = 300_000
/** Java's Long.MAX_VALUE. */
const forever = '9223372036854775807'
const tombstoneMs = 86_400_000

/** The cluster's topics, with the prefix put on and taken off. */
export class Topics {
  readonly #admin: Admin
  readonly #prefix: string
  readonly #replication: number
  readonly #known = new Map<string, { readonly topic: KnownTopic; readonly until: number }>()

  constructor(admin: Admin, prefix: string, replication = -1) {
    this.#admin = admin
    this.#prefix = prefix
    this.#replication = replication
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

  /** @throws BusError `TOPIC_MISMATCH` where one exists with other settings; nothing is created then */
  async ensure(topics: readonly TopicConfig[]): Promise<void> {
    const found = await this.#describe(topics.map((topic) => topic.name))
    for (const topic of topics) {
      const existing = found.get(topic.name)
      if (existing !== undefined) checkSame(this.nameOf(topic.name), topic, existing)
    }
    const missing = topics.filter((topic) => !found.has(topic.name))
    if (missing.length === 0) return
    try {
      await this.#admin.createTopics({
        waitForLeaders: true,
        topics: missing.map((topic) => ({
          topic: this.nameOf(topic.name),
          numPartitions: topic.partitions,
          replicationFactor: this.#replication,
          configEntries: [...configOf(topic)].map(([name, value]) => ({ name, value })),
        })),
      })
    } catch (error) {
      // Another process may have been quicker; then what it made is checked.
      if (typeOf(error) !== 'TOPIC_ALREADY_EXISTS') throw toBusError(error, 'creating topics')
      await this.ensure(topics)
    }
  }

  async #describe(topics: readonly string[]): Promise<Map<string, { partitions: number; config: Map<string, string> }>> {
    const existing = new Set(await this.#admin.listTopics())
    const names = topics.map((topic) => this.nameOf(topic)).filter((name) => existing.has(name))
    if (names.length === 0) return new Map()
    const [metadata, configs] = await Promise.all([this.#admin.fetchTopicMetadata({ topics: names }), this.#configs(names)])
    return new Map(
      metadata.topics.map(({ name, partitions }) => [
        this.topicOf(name) ?? name,
        { partitions: partitions.length, config: configs.get(name) ?? new Map<string, string>() },
      ]),
    )
  }

  /** Settings by topic; empty where this client may not see them. */
  async #configs(names: readonly string[]): Promise<Map<string, Map<string, string>>> {
    try {
      const resources = names.map((name) => ({
        type: kafkajs.ConfigResourceTypes.TOPIC,
        name,
        configNames: ['cleanup.policy', 'retention.ms', 'max.message.bytes'],
      }))
      const described = await this.#admin.describeConfigs({ includeSynonyms: false, resources })
      return new Map(described.resources.map(({ resourceName, configEntries }) => [resourceName, entriesOf(configEntries)]))
    } catch (error) {
      if (typeOf(error) === 'TOPIC_AUTHORIZATION_FAILED') return new Map()
      throw error
    }
  }
}

function entriesOf(entries: readonly { configName: string; configValue: string }[]): Map<string, string> {
  return new Map(entries.map(({ configName, configValue }) => [configName, configValue]))
}

function configOf(topic: TopicConfig): Map<IResourceConfigEntry['name'], string> {
  const config = new Map([
    ['max.message.bytes', String(maxMessageBytes)],
    ['message.timestamp.type', 'CreateTime'],
    // The broker would refuse events of a clock that is an hour fast; judging clocks is for who reads them.
    ['message.timestamp.after.max.ms', forever],
  ])
  if (topic.retentionMs === null) return config.set('cleanup.policy', 'compact').set('delete.retention.ms', String(tombstoneMs))
  return config.set('cleanup.policy', 'delete').set('retention.ms', String(topic.retentionMs))
}

function checkSame(name: string, topic: TopicConfig, existing: { partitions: number; config: Map<string, string> }): void {
  const wanted = configOf(topic)
  const differences = ['cleanup.policy', 'retention.ms'].flatMap((setting) => {
    const is = existing.config.get(setting)
    const want = wanted.get(setting)
    return is === undefined || want === undefined || is === want ? [] : [`${setting} is ${is}, wanted ${want}`]
  })
  if (existing.partitions !== topic.partitions) differences.push(`partitions is ${existing.partitions}, wanted ${topic.partitions}`)
  const largest = existing.config.get('max.message.bytes')
  if (largest !== undefined && Number(largest) < maxMessageBytes)
    differences.push(`max.message.bytes is ${largest}, wanted at least ${maxMessageBytes}`)
  if (differences.length > 0) throw new BusError('TOPIC_MISMATCH', `topic ${name} exists with other settings: ${differences.join('; ')}`)
}
