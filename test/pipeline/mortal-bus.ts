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
 * The process dies at the `at`-th write (publish or commit): before it has an effect, after it has, or with half of its
 * records written. `refused`: it lives, and only that write fails.
 */
export interface Crash {
  readonly at: number
  readonly when: 'before' | 'after' | 'during' | 'refused'
}

/**
 * A bus as seen by a process that dies. After its death every call is refused, so nothing that the dead process still
 * does has an effect; what it had written stays in `inner`.
 */
export class MortalBus implements EventBus {
  readonly adapter: EventBus['adapter']
  dead = false
  readonly #inner: EventBus
  readonly #crash: Crash | null
  #writes = 0

  constructor(inner: EventBus, crash: Crash | null) {
    this.adapter = inner.adapter
    this.#inner = inner
    this.#crash = crash
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
    return this.#write(
      () => this.#inner.publish(records),
      () => this.#inner.publish(records.slice(0, Math.floor(records.length / 2))),
    )
  }

  async consume(options: ConsumerOptions): Promise<Consumer> {
    const mortal = (control: PartitionControl): PartitionControl => ({
      ...control,
      commit: (offset) => this.#write(() => control.commit(offset)),
    })
    return this.#inner.consume({
      ...options,
      onAssigned: async (topic, partition, control) => options.onAssigned?.(topic, partition, mortal(control)),
      onBatch: async (batch, control) => {
        this.#alive()
        await options.onBatch(batch, mortal(control))
      },
    })
  }

  async tail(options: TailOptions): Promise<Tail> {
    return this.#inner.tail(options)
  }

  read(topic: string, partition: number, from: number, until?: number) {
    this.#alive()
    return this.#inner.read(topic, partition, from, until)
  }

  async offsetsAt(topic: string, at: number) {
    return this.#inner.offsetsAt(topic, at)
  }

  async partitions(topic: string) {
    return this.#inner.partitions(topic)
  }

  async groups() {
    this.#alive()
    return this.#inner.groups()
  }

  async close(): Promise<void> {
    this.dead = true
  }

  #alive(): void {
    if (this.dead) throw new BusError('BUS_CLOSED', 'the process is dead')
  }

  async #write<T>(effect: () => Promise<T>, half: () => Promise<unknown> = async () => {}): Promise<T> {
    this.#alive()
    const number = this.#writes
    this.#writes += 1
    if (this.#crash?.at !== number) return effect()
    const { when } = this.#crash
    if (when === 'refused') throw new BusError('BUS_UNAVAILABLE', 'this once')
    this.dead = true
    if (when === 'after') await effect()
    if (when === 'during') await half()
    throw new BusError('BUS_CLOSED', 'the process is dead')
  }
}
