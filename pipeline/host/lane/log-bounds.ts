import type { EventBus, PartitionState } from '../../../bus/port.ts'
import type { Instant } from '../../../schemas/index.ts'
import { placeKey, type TopicPartition } from '../standby/standby.ts'

/** How old the ends of the log may be, milliseconds, where somebody only wants to know about. */
const recentMs = 2_000

type Bounds = PartitionState & { readonly partitions: number }

/** Where partitions begin and end, and what the group has committed; questions at the same time are asked once. */
export class LogBounds {
  readonly #bus: EventBus
  readonly #group: string
  readonly #topics: readonly string[]
  readonly #clock: () => Instant
  readonly #asking = new Map<string, Promise<readonly PartitionState[]>>()
  #committing: Promise<ReadonlyMap<string, number>> | null = null
  #recent: { at: number; bounds: Promise<ReadonlyMap<string, PartitionState>> } | null = null

  constructor(bus: EventBus, group: string, topics: readonly string[], clock: () => Instant) {
    this.#bus = bus
    this.#group = group
    this.#topics = topics
    this.#clock = clock
  }

  /** @throws BusError of the bus */
  async of({ topic, partition }: TopicPartition): Promise<Bounds> {
    const states = await this.#ask(topic)
    const found = states.find((state) => state.partition === partition)
    return { ...(found ?? { topic, partition, start: 0, end: 0 }), partitions: Math.max(1, states.length) }
  }

  /** Of every observed partition, by `placeKey`; up to 2 s old. */
  recent(): Promise<ReadonlyMap<string, PartitionState>> {
    const now = performance.now()
    if (this.#recent !== null && now - this.#recent.at < recentMs) return this.#recent.bounds
    const bounds = Promise.all(this.#topics.map((topic) => this.#ask(topic))).then(
      (states) => new Map(states.flat().map((state) => [placeKey(state), state])),
    )
    this.#recent = { at: now, bounds }
    bounds.catch(() => {
      this.#recent = null
    })
    return bounds
  }

  /** Committed offsets of the group, by `placeKey`. */
  committed(): Promise<ReadonlyMap<string, number>> {
    this.#committing ??= this.#bus
      .groups()
      .then((states) => {
        const mine = states.filter(({ group }) => group === this.#group)
        return new Map(mine.flatMap((state) => (state.committed === null ? [] : [[placeKey(state), state.committed]])))
      })
      .finally(() => {
        this.#committing = null
      })
    return this.#committing
  }

  /** When the log took the first record at or after an offset; now, where there is none yet. */
  async firstTime({ topic, partition }: TopicPartition, offset: number): Promise<Instant> {
    for await (const [record] of this.#bus.read(topic, partition, offset, offset + 1)) {
      if (record !== undefined) return record.timestamp
    }
    return this.#clock()
  }

  #ask(topic: string): Promise<readonly PartitionState[]> {
    const asked = this.#asking.get(topic)
    if (asked !== undefined) return asked
    const asking = this.#bus.partitions(topic).finally(() => this.#asking.delete(topic))
    this.#asking.set(topic, asking)
    return asking
  }
}
