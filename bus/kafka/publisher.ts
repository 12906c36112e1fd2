import kafkajs, { type Kafka, type Message, type Producer } from 'kafkajs'
import { BusError } from '../errors.ts'
import { checkOutgoing } from '../outgoing.ts'
import { partitionOf } from '../partitioner.ts'
import type { OutgoingRecord, Position } from '../port.ts'
import { toBusError } from './client.ts'
import { toMessage } from './messages.ts'
import type { Topics } from './topics.ts'

/** One record on its way. */
interface Item {
  readonly job: Job
  readonly place: number
  readonly topic: string
  readonly partition: number
  readonly message: Message
  readonly bytes: number
}

/** One call of publish. */
interface Job {
  readonly positions: Position[]
  missing: number
  readonly resolve: (positions: readonly Position[]) => void
  readonly reject: (error: unknown) => void
}

/** Bytes of one request, of one partition in it (the broker refuses batches above 2 MiB), and of all that waits. */
const requestBytes = 8_388_608
const batchBytes = 1_048_576
const fullBytes = 67_108_864

/**
 * One producer with one request under way at a time: concurrent sends of kafkajs reorder and, with its idempotence,
 * lose records (tulios/kafkajs#598, #1005). What arrives meanwhile goes with the next request. A request that is
 * repeated after a lost answer can leave duplicates, which readers tell by the event id.
 */
export class Publisher {
  readonly #producer: Producer
  readonly #topics: Topics
  #queue: Item[] = []
  #bytes = 0
  #keyless = 0
  #sending: Promise<void> | null = null
  /** Calls are queued in the order in which they were made, also while their topics are looked up. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(kafka: Kafka, topics: Topics) {
    this.#topics = topics
    this.#producer = kafka.producer({
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
      allowAutoTopicCreation: false,
      idempotent: false,
      maxInFlightRequests: 1,
    })
  }

  async connect(): Promise<void> {
    await this.#producer.connect()
  }

  async publish(records: readonly OutgoingRecord[]): Promise<readonly Position[]> {
    const queued = this.#last.then(() => this.#enqueue(records))
    this.#last = queued.catch(() => {})
    const { promise } = await queued
    return promise
  }

  async #enqueue(records: readonly OutgoingRecord[]): Promise<{ readonly promise: Promise<readonly Position[]> }> {
    const known = new Map<string, { partitions: number; compacted: boolean }>()
    for (const { topic } of records) if (!known.has(topic)) known.set(topic, await this.#topics.get(topic))
    const { promise, resolve, reject } = Promise.withResolvers<readonly Position[]>()
    const job: Job = { positions: [], missing: records.length, resolve, reject }
    const items = records.map((record, place): Item => {
      const { partitions, compacted } = known.get(record.topic) ?? { partitions: 1, compacted: false }
      checkOutgoing(record, compacted)
      const partition = record.partition ?? (record.key === null ? this.#keyless++ % partitions : partitionOf(record.key, partitions))
      if (!Number.isInteger(partition) || partition < 0 || partition >= partitions) {
        throw new BusError('UNKNOWN_PARTITION', `topic ${record.topic} has the partitions 0 to ${partitions - 1}, not ${partition}`)
      }
      return { job, place, topic: record.topic, partition, message: toMessage(record, partition), bytes: sizeOf(record) }
    })
    const bytes = items.reduce((sum, item) => sum + item.bytes, 0)
    if (this.#bytes + bytes > fullBytes)
      throw new BusError('BUS_FULL', `publishing: ${fullBytes} bytes wait for the brokers; publish again later`)
    this.#bytes += bytes
    this.#queue.push(...items)
    this.#sendSoon()
    return { promise }
  }

  #sendSoon(): void {
    if (this.#queue.length === 0) return
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = null
      // What came after the last look at the queue and before this.
      this.#sendSoon()
    })
  }

  async #sendAll(): Promise<void> {
    while (this.#queue.length > 0) {
      const items = this.#take()
      try {
        await this.#send(items)
      } catch (error) {
        if (new Set(items.map((item) => item.job)).size === 1) this.#fail(items, error)
        else await this.#sendEach(items)
      }
      for (const item of items) this.#bytes -= item.bytes
    }
  }

  /** What fits one request, from the front of the queue. */
  #take(): Item[] {
    const byPartition = new Map<string, number>()
    let total = 0
    let count = 0
    for (const { topic, partition, bytes } of this.#queue) {
      const batch = (byPartition.get(`${topic}/${partition}`) ?? 0) + bytes
      total += bytes
      if (count > 0 && (total > requestBytes || batch > batchBytes)) break
      byPartition.set(`${topic}/${partition}`, batch)
      count++
    }
    return this.#queue.splice(0, count)
  }

  /** A request failed that carried several calls: only those whose own records are at fault may fail. */
  async #sendEach(items: readonly Item[]): Promise<void> {
    for (const part of Map.groupBy(items, (item) => item.job).values()) {
      try {
        await this.#send(part)
      } catch (error) {
        this.#fail(part, error)
      }
    }
  }

  async #send(items: readonly Item[]): Promise<void> {
    const byTopic = Map.groupBy(items, (item) => item.topic)
    const answers = await this.#producer.sendBatch({
      acks: -1,
      topicMessages: [...byTopic].map(([topic, parts]) => ({
        topic: this.#topics.nameOf(topic),
        messages: parts.map((item) => item.message),
      })),
    })
    const bases = new Map(answers.map(({ topicName, partition, baseOffset }) => [`${topicName}/${partition}`, Number(baseOffset)]))
    for (const { job, place, topic, partition } of items) {
      const slot = `${this.#topics.nameOf(topic)}/${partition}`
      const offset = bases.get(slot) ?? Number.NaN
      bases.set(slot, offset + 1)
      job.positions[place] = { topic, partition, offset }
      if (--job.missing === 0) job.resolve(job.positions)
    }
  }

  #fail(items: readonly Item[], error: unknown): void {
    const failed = new Set(items.map((item) => item.job))
    for (const job of failed) job.reject(toBusError(error, 'publishing'))
    // The rest of a call that failed is not sent: the caller repeats the whole.
    this.#queue = this.#queue.filter((item) => {
      if (!failed.has(item.job)) return true
      this.#bytes -= item.bytes
      return false
    })
  }

  async close(): Promise<void> {
    await this.#last
    while (this.#sending !== null) await this.#sending
    await this.#producer.disconnect()
  }
}

function sizeOf(record: OutgoingRecord): number {
  let bytes = 64 + 3 * (record.key?.length ?? 0) + (record.value?.length ?? 0)
  for (const name in record.headers) bytes += 8 + name.length + (record.headers[name]?.length ?? 0)
  return bytes
}
