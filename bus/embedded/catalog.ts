import { BusError } from '../errors.ts'
import { planOf, refusal } from '../plan.ts'
import type { TopicConfig, TopicPlan } from '../port.ts'
import type { IndexStore, StoredTopic } from './index-store.ts'
import { Partition } from './partition.ts'

const maxTopics = 1_000
const maxPartitions = 1_024

/** The topics of a log and their partitions. */
export class Catalog {
  readonly #index: IndexStore
  readonly #byName = new Map<string, readonly Partition[]>()
  readonly #byId = new Map<number, readonly Partition[]>()

  constructor(index: IndexStore) {
    this.#index = index
    for (const topic of index.topics()) this.#add(topic)
  }

  /** @throws BusError `UNKNOWN_TOPIC` */
  partitionsOf(topic: string): readonly Partition[] {
    const partitions = this.#byName.get(topic)
    if (partitions === undefined) throw new BusError('UNKNOWN_TOPIC', `no topic ${topic.slice(0, 128)}: create it with ensureTopics`)
    return partitions
  }

  /** @throws BusError `UNKNOWN_PARTITION` */
  partition(topic: string, number: number): Partition {
    const partitions = this.partitionsOf(topic)
    const partition = partitions[number]
    if (partition === undefined)
      throw new BusError('UNKNOWN_PARTITION', `topic ${topic} has the partitions 0 to ${partitions.length - 1}, not ${number}`)
    return partition
  }

  /** @throws BusError `CORRUPT_LOG` */
  byId(id: number, number: number): Partition {
    const partition = this.#byId.get(id)?.[number]
    if (partition === undefined)
      throw new BusError('CORRUPT_LOG', `the journal names topic ${id}, partition ${number}, which the index does not know`)
    return partition
  }

  all(): readonly Partition[] {
    return [...this.#byName.values()].flat()
  }

  plan(topics: readonly TopicConfig[]): TopicPlan[] {
    return topics.map((wanted) => planOf(wanted.name, settingsOf(wanted, this.#byName.get(wanted.name)?.[0]?.topic)))
  }

  /**
   * Whose time records carry, and how long compaction waits, hold for what comes: a topic that has them otherwise, as a
   * log of an earlier version does, takes the wanted ones from now on, and what it has stays as it is.
   *
   * @throws BusError `TOPIC_MISMATCH` where one exists with other partitions or another retention; nothing is done then
   */
  async ensure(topics: readonly TopicConfig[]): Promise<void> {
    const refused = refusal(this.plan(topics))
    if (refused !== null) throw refused
    const written: StoredTopic[] = []
    let added = this.#byName.size
    for (const { name, partitions, retentionMs, timestamps = 'create', minCompactionLagMs = 0 } of topics) {
      const existing = this.#byName.get(name)?.[0]?.topic
      const topic = { name, partitions, retentionMs, timestamps, minCompactionLagMs }
      if (existing === undefined) {
        checkMakeable(name, partitions, added)
        written.push({ id: added++, ...topic })
      } else if ((existing.timestamps ?? 'create') !== timestamps || (existing.minCompactionLagMs ?? 0) !== minCompactionLagMs) {
        written.push({ id: existing.id, ...topic })
      }
    }
    if (written.length === 0) return
    await this.#index.putTopics(written)
    for (const topic of written) this.#add(topic)
  }

  /** @throws BusError `TOPIC_MISMATCH` where there are more partitions already */
  async grow(name: string, partitions: number): Promise<void> {
    const topic = this.partitionsOf(name)[0]?.topic
    if (topic === undefined || topic.partitions === partitions) return
    if (partitions < topic.partitions)
      throw new BusError('TOPIC_MISMATCH', `growing topic ${name}: it has ${topic.partitions} partitions, and none can be taken away`)
    checkMakeable(name, partitions, 0)
    const grown = { ...topic, partitions }
    await this.#index.putTopics([grown])
    this.#add(grown)
  }

  #add(topic: StoredTopic): void {
    const existing = this.#byName.get(topic.name) ?? []
    for (const partition of existing) partition.topic = topic
    const partitions = Array.from(
      { length: topic.partitions },
      (_, number) => existing[number] ?? new Partition(topic, number, this.#index),
    )
    this.#byName.set(topic.name, partitions)
    this.#byId.set(topic.id, partitions)
  }
}

function checkMakeable(name: string, partitions: number, topics: number): void {
  if (/^[A-Za-z0-9._-]{1,200}$/.test(name) && Number.isInteger(partitions) && partitions >= 1 && partitions <= maxPartitions) {
    if (topics < maxTopics) return
  }
  throw new BusError(
    'TOPIC_MISMATCH',
    `making topic ${name.slice(0, 200)} of ${partitions} partitions: names have letters, digits and . _ -, and there are at most ${maxPartitions} partitions and ${maxTopics} topics`,
  )
}

function settingsOf(wanted: TopicConfig, is: TopicConfig | undefined): TopicPlan['settings'] {
  const setting = (name: string, want: unknown, has: unknown, decides: boolean): TopicPlan['settings'][number] => ({
    name,
    wanted: String(want),
    is: is === undefined ? null : String(has),
    differs: decides && is !== undefined && want !== has,
  })
  return [
    setting('partitions', wanted.partitions, is?.partitions, true),
    setting('retentionMs', wanted.retentionMs, is?.retentionMs, true),
    // Taken over by `ensure`.
    setting('timestamps', wanted.timestamps ?? 'create', is?.timestamps ?? 'create', false),
    setting('minCompactionLagMs', wanted.minCompactionLagMs ?? 0, is?.minCompactionLagMs ?? 0, false),
  ]
}
