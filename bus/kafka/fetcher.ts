import kafkajs, { type Cluster, type Kafka } from 'kafkajs'
import type { BusRecord } from '../port.ts'
import { type FetchedMessage, toRecord } from './messages.ts'

/** What is asked for. */
export interface FetchFrom {
  readonly partition: number
  readonly offset: number
}

/** What came of one partition. `next` is where to go on. */
export interface Fetched {
  readonly partition: number
  readonly records: readonly BusRecord[]
  readonly next: number
}

interface FetchAnswer {
  readonly responses: readonly {
    readonly partitions: readonly {
      readonly partition: number
      readonly highWatermark: string
      readonly messages: readonly FetchedMessage[]
    }[]
  }[]
}

const partitionBytes = 2_097_152

/**
 * Reads partitions of one topic without a consumer group. kafkajs has no consumer without one, but its public types have
 * the cluster (it is handed to partition assigners) and the broker's fetch. A throw-away group for each reader would
 * cost seconds to join, rebalance, need rights on groups, and litter the cluster when a process dies.
 */
export class Fetcher {
  readonly #cluster: Cluster
  readonly #topic: string
  readonly #name: string

  constructor(kafka: Kafka, topic: string, name: string) {
    let found: Cluster | undefined
    kafka.consumer({
      // Never joined, so the name never reaches a broker.
      groupId: 'none',
      partitionAssigners: [
        (context) => {
          found = context.cluster
          return kafkajs.PartitionAssigners.roundRobin(context)
        },
      ],
    })
    if (found === undefined) throw new Error('kafkajs made no cluster for a consumer')
    this.#cluster = found
    this.#topic = topic
    this.#name = name
  }

  async connect(): Promise<void> {
    await this.#cluster.connect()
    await this.#cluster.addTargetTopic(this.#name)
    await this.#cluster.refreshMetadataIfNecessary()
  }

  async refresh(): Promise<void> {
    if (!this.#cluster.isConnected()) await this.#cluster.connect()
    await this.#cluster.refreshMetadata()
  }

  /** Which of the partitions each broker leads. */
  leaders(partitions: readonly number[]): Map<string, number[]> {
    const leaders = this.#cluster.findLeaderForPartitions(this.#name, [...partitions])
    return new Map(Object.entries(leaders).map(([node, led]) => [node, led.map(Number)]))
  }

  /** One fetch from one broker; waits up to `maxWaitMs` for `minBytes`. */
  async fetch(node: string, from: readonly FetchFrom[], maxWaitMs: number, minBytes = 1): Promise<Fetched[]> {
    const broker = await this.#cluster.findBroker({ nodeId: node })
    const partitions = from.map(({ partition, offset }) => ({ partition, fetchOffset: String(offset), maxBytes: partitionBytes }))
    const answer: FetchAnswer = await broker.fetch({
      isolationLevel: 1,
      maxWaitTime: maxWaitMs,
      minBytes,
      maxBytes: 4 * partitionBytes,
      topics: [{ topic: this.#name, partitions }],
    })
    const asked = new Map(from.map(({ partition, offset }) => [partition, offset]))
    return answer.responses.flatMap((response) =>
      response.partitions.map(({ partition, highWatermark, messages }) => {
        const offset = asked.get(partition) ?? 0
        const records = messages
          .filter((message) => Number(message.offset) >= offset && message.isControlRecord !== true)
          .map((message) => toRecord(this.#topic, partition, message))
        return { partition, records, next: nextOffset(offset, messages, Number(highWatermark)) }
      }),
    )
  }

  async close(): Promise<void> {
    await this.#cluster.disconnect()
  }
}

/** Compaction may have left nothing at or after `offset` in what was fetched; then the next one is tried. */
function nextOffset(offset: number, messages: readonly FetchedMessage[], highWatermark: number): number {
  const last = Number(messages.at(-1)?.offset ?? -1)
  if (last >= offset) return last + 1
  return messages.length > 0 && offset < highWatermark ? offset + 1 : offset
}
