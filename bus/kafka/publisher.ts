import { setTimeout as delay } from 'node:timers/promises'
import { BusError } from '../errors.ts'
import { checkOutgoing } from '../outgoing.ts'
import { partitionOf } from '../partitioner.ts'
import type { OutgoingRecord, Position } from '../port.ts'
import type { Brokers } from './brokers.ts'
import { toBusError } from './failures.ts'
import { Lane } from './lane.ts'
import { toMessage } from './messages.ts'
import { basesOf, type Item, type Job, type Parcel, type ProduceAnswer, pack, parcelsOf, sizeOf, topicDataOf } from './parcel.ts'
import type { Topics } from './topics.ts'

export interface PublisherOptions {
  readonly brokers: Brokers
  readonly topics: Topics
  /** How long a broker may take to answer. */
  readonly requestMs: number
  /** How long a call goes on trying. */
  readonly publishMs: number
}

/** Bytes of all that waits. */
const fullBytes = 67_108_864
const checkMs = 250
/** Before leaders are asked for again: they are not replaced sooner. */
const lookPauseMs = 50

/** Errors that come again however often the records are sent. */
const final = new Set(['TOO_LARGE', 'INVALID_RECORD', 'BUS_FORBIDDEN'])

/**
 * One request under way at a time for each broker, and so for each partition: concurrent requests reorder (and
 * with the idempotence of kafkajs lose records: tulios/kafkajs#598, #1005). What arrives meanwhile goes with the next.
 *
 * What a broker refused, or did not answer, is sent again to whoever leads then, before anything that came later to the
 * same partition. Where the first was taken after all, that leaves duplicates, which readers tell by the event id; after
 * these are taken out, each partition has the order of the calls.
 */
export class Publisher {
  readonly #options: PublisherOptions
  readonly #lanes = new Map<string, Lane<Item>>()
  /** Lanes with records that wait; the first is served first. */
  readonly #loaded = new Set<Lane<Item>>()
  /** Brokers with a request under way. */
  readonly #busy = new Set<string>()
  #bytes = 0
  #keyless = 0
  #looking: Promise<void> | null = null
  #checking: NodeJS.Timeout | undefined
  #idle: PromiseWithResolvers<void> | null = null
  /** Calls are queued in the order in which they were made, also while their topics are looked up. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: PublisherOptions) {
    this.#options = options
  }

  /**
   * @throws BusError `BUS_UNAVAILABLE` where the brokers did not take it in time: the records, or some, may be there all the same
   */
  publish(records: readonly OutgoingRecord[]): Promise<readonly Position[]> {
    const queued = this.#last.then(() => this.#enqueue(records))
    this.#last = queued.catch(() => {})
    return queued.then(({ promise }) => promise)
  }

  async #enqueue(records: readonly OutgoingRecord[]): Promise<{ promise: Promise<readonly Position[]> }> {
    const { topics, publishMs } = this.#options
    const known = new Map<string, { partitions: number; compacted: boolean }>()
    for (const { topic } of records) if (!known.has(topic)) known.set(topic, await topics.get(topic))
    const { promise, resolve, reject } = Promise.withResolvers<readonly Position[]>()
    const until = performance.now() + publishMs
    const job: Job = { positions: [], lanes: new Set(), until, missing: records.length, over: false, resolve, reject }
    let bytes = 0
    const items = records.map((record, place): [Lane<Item>, Item] => {
      const { partitions, compacted } = known.get(record.topic) ?? { partitions: 1, compacted: false }
      checkOutgoing(record, compacted)
      const partition = record.partition ?? (record.key === null ? this.#keyless++ % partitions : partitionOf(record.key, partitions))
      if (!Number.isInteger(partition) || partition < 0 || partition >= partitions) {
        throw new BusError('UNKNOWN_PARTITION', `topic ${record.topic} has the partitions 0 to ${partitions - 1}, not ${partition}`)
      }
      const item = { job, place, message: toMessage(record, partition), bytes: sizeOf(record) }
      bytes += item.bytes
      return [this.#laneOf(record.topic, partition), item]
    })
    if (this.#bytes + bytes > fullBytes)
      throw new BusError('BUS_FULL', `publishing: ${fullBytes} bytes wait for the brokers; publish again later`)
    this.#bytes += bytes
    for (const [lane, item] of items) {
      job.lanes.add(lane)
      lane.push(item)
      this.#loaded.add(lane)
    }
    this.#pump()
    this.#checking ??= setInterval(() => this.#check(), checkMs)
    return { promise }
  }

  #laneOf(topic: string, partition: number): Lane<Item> {
    const key = `${topic}/${partition}`
    const existing = this.#lanes.get(key)
    if (existing !== undefined) return existing
    const lane = new Lane<Item>(topic, this.#options.topics.nameOf(topic), partition)
    this.#lanes.set(key, lane)
    return lane
  }

  /** Gives every broker that has no request under way the next. */
  #pump(): void {
    const now = performance.now()
    const byNode = new Map<string, Lane<Item>[]>()
    let lost = false
    for (const lane of this.#loaded) {
      if (lane.busy || lane.notBefore > now) continue
      const node = this.#options.brokers.leaderOf(lane.name, lane.partition)
      if (node === null) lost = true
      else if (!this.#busy.has(node)) byNode.set(node, [...(byNode.get(node) ?? []), lane])
    }
    for (const [node, lanes] of byNode) void this.#serve(node, pack(lanes))
    if (lost) this.#look()
  }

  async #serve(node: string, parcels: readonly Parcel[]): Promise<void> {
    this.#busy.add(node)
    for (const { lane } of parcels) lane.busy = true
    try {
      await this.#send(node, parcels)
    } finally {
      this.#busy.delete(node)
      for (const { lane } of parcels) {
        lane.busy = false
        // The others first, the next time.
        this.#loaded.delete(lane)
        if (!lane.isEmpty) this.#loaded.add(lane)
      }
      this.#pump()
      this.#settle()
    }
  }

  async #send(node: string, parcels: readonly Parcel[]): Promise<void> {
    try {
      await this.#produce(node, parcels)
      for (const { lane } of parcels) lane.succeeded()
    } catch (error) {
      const failure = toBusError(error, 'publishing')
      const items = parcels.flatMap((parcel) => parcel.items)
      if (!final.has(failure.code)) await this.#again(parcels, failure)
      else if (new Set(items.map(({ job }) => job)).size === 1) this.#refuse(items, failure)
      else await this.#sendEach(node, parcels)
    }
  }

  /** A request was refused that carried several calls: only those whose own records are at fault may fail. */
  async #sendEach(node: string, parcels: readonly Parcel[]): Promise<void> {
    const items = parcels.flatMap(({ lane, items: each }) => each.map((item) => ({ lane, item })))
    const byJob = [...Map.groupBy(items, ({ item }) => item.job)]
    for (const [index, [, parts]] of byJob.entries()) {
      try {
        await this.#produce(node, parcelsOf(parts))
      } catch (error) {
        const failure = toBusError(error, 'publishing')
        const those = parts.map(({ item }) => item)
        if (final.has(failure.code)) this.#refuse(those, failure)
        else return this.#again(parcelsOf(byJob.slice(index).flatMap(([, rest]) => rest)), failure)
      }
    }
  }

  async #produce(node: string, parcels: readonly Parcel[]): Promise<void> {
    const { brokers, requestMs } = this.#options
    const topicData = topicDataOf(parcels)
    // A broker that waits for the others' copies says so before it is taken for one that hangs.
    const timeout = Math.round(0.8 * requestMs)
    const answer: ProduceAnswer = await brokers.ask(node, requestMs, (broker) => broker.produce({ acks: -1, timeout, topicData }))
    for (const [{ lane, items }, base] of basesOf(parcels, answer)) {
      items.forEach(({ job, place, bytes }, index) => {
        this.#bytes -= bytes
        job.positions[place] = { topic: lane.topic, partition: lane.partition, offset: base + index }
        if (--job.missing > 0 || job.over) return
        job.over = true
        job.resolve(job.positions)
      })
    }
  }

  /** What was sent for one call, and will be refused however often: it is not kept. */
  #refuse(items: readonly Item[], failure: BusError): void {
    for (const item of items) this.#forget(item)
    const [first] = items
    if (first !== undefined) this.#fail(first.job, failure)
  }

  /** Puts back what failed, in front of what came later. */
  async #again(parcels: readonly Parcel[], failure: BusError): Promise<void> {
    for (const { lane, items } of parcels) {
      // Of a call that is over, the caller decides what becomes.
      const rest = items.filter((item) => !item.job.over || this.#forget(item))
      lane.putBack(rest, failure)
    }
    await this.#look()
  }

  #forget(item: Item): false {
    this.#bytes -= item.bytes
    return false
  }

  #look(): Promise<void> {
    this.#looking ??= this.#lookNow().finally(() => {
      this.#looking = null
    })
    return this.#looking
  }

  async #lookNow(): Promise<void> {
    const { brokers } = this.#options
    await delay(lookPauseMs)
    try {
      await brokers.follow([...this.#loaded].map((lane) => lane.name))
      await brokers.refresh()
    } catch {
      // Tried again with the next records, or with the next check of those that wait.
    }
  }

  /** Fails the calls whose time is up, and tries the lanes whose pause is over. */
  #check(): void {
    const now = performance.now()
    for (const lane of this.#loaded) {
      for (let head = lane.head; head !== undefined && !lane.busy && head.job.until < now; head = lane.head) {
        this.#fail(head.job, lane.failure ?? new BusError('BUS_UNAVAILABLE', 'publishing: no broker took it in time; publish again later'))
      }
    }
    this.#pump()
    this.#settle()
  }

  /** The rest of a call that failed is not sent: the caller repeats the whole. */
  #fail(job: Job, error: BusError): void {
    if (job.over) return
    job.over = true
    for (const lane of job.lanes) {
      for (const item of lane.drop((each) => each.job === job)) this.#bytes -= item.bytes
      if (lane.isEmpty && !lane.busy) this.#loaded.delete(lane)
    }
    job.reject(error)
  }

  #settle(): void {
    if (this.#loaded.size > 0 || this.#busy.size > 0) return
    clearInterval(this.#checking)
    this.#checking = undefined
    this.#idle?.resolve()
  }

  /** Waits for what was given, as long as that may take. */
  async close(): Promise<void> {
    await this.#last
    this.#idle = Promise.withResolvers<void>()
    this.#settle()
    await this.#idle.promise
  }
}
