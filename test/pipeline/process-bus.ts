import { BusError } from '../../bus/errors.ts'
import type {
  Consumer,
  ConsumerOptions,
  EventBus,
  OutgoingRecord,
  PartitionControl,
  Position,
  Tail,
  TailOptions,
  TopicConfig,
  TopicPlan,
} from '../../bus/port.ts'

/**
 * A bus as one of several processes on the same log sees it, and what can happen to that process. The group notices only
 * when it is told to (`expire`), as a broker does when the session is over.
 */
export class ProcessBus implements EventBus {
  readonly adapter: EventBus['adapter']
  readonly #inner: EventBus
  readonly #consumers = new Set<Consumer>()
  #dead = false
  #running: Promise<void> = Promise.resolve()
  #resume: (() => void) | null = null
  /** Whether the group confirms our partitions. */
  held = true
  /** Fails the next so many commits. */
  refuseCommits = 0
  /** Fails the next so many questions about the group. */
  refuseGroups = 0
  commits = 0

  constructor(inner: EventBus) {
    this.adapter = inner.adapter
    this.#inner = inner
  }

  /** Nothing that it still does has an effect. */
  kill(): void {
    this.#dead = true
    this.continue()
  }

  /** It stands still, in the middle of whatever it was doing. */
  stop(): void {
    this.#running = new Promise((resolve) => {
      this.#resume = resolve
    })
  }

  continue(): void {
    this.#resume?.()
    this.#resume = null
  }

  /** The group notices that it is gone. */
  async expire(): Promise<void> {
    this.held = false
    await Promise.all([...this.#consumers].map((consumer) => consumer.close()))
  }

  async ensureTopics(topics: readonly TopicConfig[]): Promise<void> {
    await this.#inner.ensureTopics(topics)
  }

  async planTopics(topics: readonly TopicConfig[]): Promise<readonly TopicPlan[]> {
    return this.#inner.planTopics(topics)
  }

  async growTopic(topic: string, partitions: number): Promise<void> {
    await this.#inner.growTopic(topic, partitions)
  }

  async publish(records: readonly OutgoingRecord[]): Promise<readonly Position[]> {
    await this.#alive()
    return this.#inner.publish(records)
  }

  async consume(options: ConsumerOptions): Promise<Consumer> {
    const consumer = await this.#inner.consume({
      ...options,
      onAssigned: async (topic, partition, control) => {
        await this.#alive()
        return options.onAssigned?.(topic, partition, this.#controlOf(control))
      },
      onRevoked: async (topic, partition) => {
        // Nobody waits for a process that stands still or is no more.
        if (this.#dead || this.#resume !== null) void this.#running.then(() => options.onRevoked?.(topic, partition))
        else await options.onRevoked?.(topic, partition)
      },
      onBatch: async (batch, control) => {
        // Nor for what it was in the middle of.
        const given = new Promise<void>((resolve) => {
          control.signal.addEventListener('abort', () => this.#resume !== null && resolve(), { once: true })
        })
        await Promise.race([this.#running, given])
        if (control.signal.aborted) return
        await this.#alive()
        const handled = options.onBatch(batch, this.#controlOf(control))
        await Promise.race([handled, given])
        void handled.catch(() => {})
      },
    })
    this.#consumers.add(consumer)
    return consumer
  }

  #controlOf(control: PartitionControl): PartitionControl {
    const commit = async (offset: number): Promise<void> => {
      await this.#alive()
      if (this.refuseCommits-- > 0) throw new BusError('BUS_UNAVAILABLE', 'not this time')
      if (!this.held) throw new BusError('PARTITION_LOST', 'another member has it')
      this.commits++
      await control.commit(offset)
    }
    return { commit, signal: control.signal, held: () => this.held && control.held() }
  }

  async tail(options: TailOptions): Promise<Tail> {
    await this.#alive()
    return this.#inner.tail({
      ...options,
      onRecords: (records) => {
        if (this.#dead) return
        if (this.#resume === null) options.onRecords(records)
        else void this.#running.then(() => this.#dead || options.onRecords(records))
      },
    })
  }

  async *read(topic: string, partition: number, from: number, until?: number) {
    await this.#alive()
    yield* this.#inner.read(topic, partition, from, until)
  }

  async offsetsAt(topic: string, at: number) {
    return this.#inner.offsetsAt(topic, at)
  }

  async partitions(topic: string) {
    await this.#alive()
    return this.#inner.partitions(topic)
  }

  async groups() {
    await this.#alive()
    if (this.refuseGroups-- > 0) throw new BusError('BUS_UNAVAILABLE', 'not this time')
    return this.#inner.groups()
  }

  async close(): Promise<void> {
    this.kill()
  }

  async #alive(): Promise<void> {
    await this.#running
    if (this.#dead) throw new BusError('BUS_CLOSED', 'the process is dead')
  }
}
