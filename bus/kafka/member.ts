import kafkajs, { type Cluster, type EachBatchPayload, type Kafka, type Consumer as KafkaConsumer } from 'kafkajs'
import { Pause } from '../pause.ts'
import type { Consumer, ConsumerOptions } from '../port.ts'
import { toBusError, typeOf } from './client.ts'
import { Holding } from './holding.ts'
import { toRecord } from './messages.ts'
import type { Topics } from './topics.ts'

export interface MemberContext {
  readonly kafka: Kafka
  readonly topics: Topics
  /** Group id in the cluster. */
  readonly groupId: string
  readonly minBytes: number
  readonly maxWaitMs: number
  readonly sessionMs: number
  /** Where a partition begins, kept inside what is there. */
  readonly startOf: (topic: string, partition: number, given: number | undefined) => Promise<number>
}

/** Answers of the coordinator that mean that our partitions may already be someone else's. */
const lost = new Set(['REBALANCE_IN_PROGRESS', 'NOT_COORDINATOR_FOR_GROUP', 'ILLEGAL_GENERATION', 'UNKNOWN_MEMBER_ID'])
const heartbeatMs = 500

/** A member of a consumer group, on kafkajs' consumer. Its rebalances take every partition from everyone first. */
export class Member implements Consumer {
  readonly #context: MemberContext
  readonly #options: ConsumerOptions
  readonly #held = new Map<string, Holding>()
  readonly #ready = Promise.withResolvers<void>()
  readonly #pause = new Pause()
  readonly #stop = new AbortController()
  #consumer: KafkaConsumer | null = null
  #lost: unknown = null
  #closing: Promise<void> | null = null

  constructor(context: MemberContext, options: ConsumerOptions) {
    this.#context = context
    this.#options = options
  }

  /** Resolves when the member has joined and its first share is begun. */
  async start(): Promise<void> {
    await this.#run()
    await this.#ready.promise
  }

  async #run(): Promise<void> {
    const { kafka, groupId, minBytes, maxWaitMs, sessionMs, topics } = this.#context
    const consumer = kafka.consumer({
      groupId,
      minBytes,
      maxWaitTimeInMs: maxWaitMs,
      maxBytesPerPartition: 2_097_152,
      sessionTimeout: sessionMs,
      heartbeatInterval: heartbeatMs,
      allowAutoTopicCreation: false,
      retry: { initialRetryTime: 100, maxRetryTime: 2_000, retries: 8, restartOnFailure: async () => this.#closing === null },
      partitionAssigners: [
        (context) => {
          this.#revokeBeforeJoin(context.cluster)
          return kafkajs.PartitionAssigners.roundRobin(context)
        },
      ],
    })
    this.#consumer = consumer
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => this.#joined(consumer, payload.memberAssignment))
    consumer.on(consumer.events.CRASH, ({ payload }) => void this.#crashed(payload.error, payload.restart))
    await consumer.connect()
    await consumer.subscribe({ topics: this.#options.topics.map((topic) => topics.nameOf(topic)), fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: 64,
      eachBatch: (payload) => this.#handle(payload),
    })
  }

  /**
   * kafkajs tells of a rebalance but waits for nobody. It looks up the group's coordinator at the start of each join, so
   * that is where the old share is given up: the group waits for our join, so nobody has the partitions before.
   */
  #revokeBeforeJoin(cluster: Cluster): void {
    const find = cluster.findGroupCoordinator.bind(cluster)
    cluster.findGroupCoordinator = async (group) => {
      await this.#release()
      return find(group)
    }
  }

  async #release(): Promise<void> {
    const held = [...this.#held.values()]
    await Promise.all(held.map((holding) => holding.close()))
    for (const holding of held) if (this.#held.get(placeOf(holding)) === holding) this.#held.delete(placeOf(holding))
  }

  #joined(consumer: KafkaConsumer, assignment: Readonly<Record<string, readonly number[]>>): void {
    this.#lost = null
    if (this.#closing !== null) return
    const holdings = Object.entries(assignment).flatMap(([name, partitions]) => {
      const topic = this.#context.topics.topicOf(name)
      return topic === null ? [] : partitions.map((partition) => new Holding(topic, partition, this.#options))
    })
    // Before the first fetch: nothing is read until the member has said where to begin.
    for (const holding of holdings) {
      this.#held.set(placeOf(holding), holding)
      consumer.pause([this.#partitionOf(holding)])
    }
    const opened = holdings.map((holding) => {
      const first = Promise.withResolvers<void>()
      void holding.open((given) => this.#begin(consumer, holding, given), first.resolve).finally(first.resolve)
      return first.promise
    })
    void Promise.all(opened).then(() => this.#ready.resolve())
    this.#pause.reset()
  }

  async #begin(consumer: KafkaConsumer, holding: Holding, given: number | undefined): Promise<void> {
    const start = await this.#context.startOf(holding.topic, holding.partition, given)
    if (holding.signal.aborted) return
    consumer.seek({ topic: this.#context.topics.nameOf(holding.topic), partition: holding.partition, offset: String(start) })
    consumer.resume([this.#partitionOf(holding)])
  }

  #partitionOf(holding: Holding): { topic: string; partitions: number[] } {
    return { topic: this.#context.topics.nameOf(holding.topic), partitions: [holding.partition] }
  }

  async #handle(payload: EachBatchPayload): Promise<void> {
    const { batch } = payload
    const topic = this.#context.topics.topicOf(batch.topic)
    const holding = topic === null ? undefined : this.#held.get(`${topic}/${batch.partition}`)
    // Fetched before the partition was taken or moved; it is fetched again where it belongs.
    if (holding === undefined || !holding.positioned || payload.isStale()) return
    const beating = setInterval(() => void this.#beat(payload), heartbeatMs)
    try {
      await this.#deliver(payload, holding)
    } finally {
      clearInterval(beating)
    }
    await this.#beat(payload)
    // Handlers are done: now kafkajs may join again.
    if (this.#lost !== null) throw this.#lost
  }

  async #deliver(payload: EachBatchPayload, holding: Holding): Promise<void> {
    const { batch } = payload
    const { maxBatch = 1_000 } = this.#options
    const commitTo = (offset: number): Promise<void> =>
      payload.commitOffsetsIfNecessary({
        topics: [{ topic: batch.topic, partitions: [{ partition: batch.partition, offset: String(offset) }] }],
      })
    for (let from = 0; from < batch.messages.length; from += maxBatch) {
      const records = batch.messages.slice(from, from + maxBatch).map((message) => toRecord(holding.topic, holding.partition, message))
      const last = records.at(-1)
      if (last === undefined || !(await holding.deliver(records, Number(batch.highWatermark), commitTo))) return
      if (holding.signal.aborted || payload.isStale()) return
      payload.resolveOffset(String(last.offset))
      await this.#beat(payload)
    }
  }

  async #beat(payload: EachBatchPayload): Promise<void> {
    try {
      await payload.heartbeat()
    } catch (error) {
      if (!lost.has(typeOf(error) ?? ''))
        return this.#options.onError?.(toBusError(error, `keeping the place in the group ${this.#options.group}`))
      this.#lost ??= error
      for (const holding of this.#held.values()) holding.abort()
    }
  }

  async #crashed(error: unknown, restarts: boolean): Promise<void> {
    if (this.#closing !== null) return
    this.#options.onError?.(toBusError(error, `consuming as ${this.#options.group}`))
    await this.#release()
    if (restarts) return
    // kafkajs gives up on errors that it takes for final; nothing here is, as long as nobody closes us.
    while (this.#closing === null) {
      await this.#pause.wait(this.#stop.signal)
      try {
        if (this.#closing === null) await this.#run()
        return
      } catch (failure) {
        this.#options.onError?.(toBusError(failure, `joining ${this.#options.group} again`))
      }
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#stop.abort()
    // While still a member, so that what handlers finish can be committed.
    await this.#release()
    await this.#consumer?.disconnect()
    this.#ready.resolve()
  }
}

function placeOf(holding: Holding): string {
  return `${holding.topic}/${holding.partition}`
}
