import { BusError } from '../errors.ts'
import type { TopicConfig } from '../port.ts'
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

  /** @throws BusError `TOPIC_MISMATCH` where one exists with other settings; nothing is created then */
  async ensure(topics: readonly TopicConfig[]): Promise<void> {
    const added: StoredTopic[] = []
    for (const { name, partitions, retentionMs } of topics) {
      const existing = this.#byName.get(name)?.[0]?.topic
      if (existing !== undefined) {
        checkSame(existing, { name, partitions, retentionMs })
        continue
      }
      if (
        !/^[A-Za-z0-9._-]{1,200}$/.test(name) ||
        partitions < 1 ||
        partitions > maxPartitions ||
        this.#byName.size + added.length >= maxTopics
      ) {
        throw new BusError(
          'TOPIC_MISMATCH',
          `creating topic ${name.slice(0, 200)}: names have letters, digits and . _ -, and there are at most ${maxPartitions} partitions and ${maxTopics} topics`,
        )
      }
      added.push({ id: this.#byName.size + added.length, name, partitions, retentionMs })
    }
    if (added.length === 0) return
    await this.#index.addTopics(added)
    for (const topic of added) this.#add(topic)
  }

  #add(topic: StoredTopic): void {
    const partitions = Array.from({ length: topic.partitions }, (_, number) => new Partition(topic, number, this.#index))
    this.#byName.set(topic.name, partitions)
    this.#byId.set(topic.id, partitions)
  }
}

function checkSame(existing: TopicConfig, wanted: TopicConfig): void {
  const differences = (['partitions', 'retentionMs'] as const).flatMap((field) =>
    existing[field] === wanted[field] ? [] : [`${field} is ${existing[field]}, wanted ${wanted[field]}`],
  )
  if (differences.length > 0) {
    throw new BusError('TOPIC_MISMATCH', `topic ${wanted.name} exists with other settings: ${differences.join('; ')}`)
  }
}
