import { Fence } from '../bus/fence.ts'
import type { BusRecord, EventBus } from '../bus/port.ts'
import { type TopicName, topics } from '../schemas/index.ts'

/** Records read before the first batch to learn the term that holds there: nearly every one says its writer's. */
const readBack = 1_000

const judged: ReadonlySet<string> = new Set<TopicName>([
  ...Object.values(topics)
    .filter((spec) => 'fenced' in spec && spec.fenced)
    .map(({ name }) => name as TopicName),
  'outcomes',
])

/** Tells, on the control topics, what a writer said that was replaced before: no reader heeds it, so it is not stored. */
export class Fences {
  readonly #bus: EventBus
  readonly #byPartition = new Map<string, { readonly fence: Fence; readonly next: number }>()

  constructor(bus: EventBus) {
    this.#bus = bus
  }

  /** Those of a batch that do not count. A batch that comes again, or after a gap, is judged by what stands before it. */
  async fenced(topic: string, partition: number, records: readonly BusRecord[]): Promise<ReadonlySet<BusRecord>> {
    const [first] = records
    if (first === undefined || !judged.has(topic)) return none
    const key = `${topic}/${partition}`
    const known = this.#byPartition.get(key)
    const fence = known?.next === first.offset ? known.fence : await this.#before(topic as TopicName, partition, first.offset)
    const fenced = new Set(records.filter((record) => fence.judge(record) === 'fenced'))
    this.#byPartition.set(key, { fence, next: (records.at(-1)?.offset ?? first.offset) + 1 })
    return fenced
  }

  /** The partition is another's now; when it comes back, it may have moved on. */
  forget(topic: string, partition: number): void {
    this.#byPartition.delete(`${topic}/${partition}`)
  }

  /** Compaction leaves gaps, so it goes back further until it finds a record. */
  async #before(topic: TopicName, partition: number, until: number): Promise<Fence> {
    const fence = new Fence(topic)
    const start = (await this.#bus.partitions(topic)).find((one) => one.partition === partition)?.start ?? 0
    for (let back = readBack; ; back *= 10) {
      const from = Math.max(start, until - back)
      let found = false
      for await (const records of this.#bus.read(topic, partition, from, until)) {
        for (const record of records) fence.judge(record)
        found ||= records.length > 0
      }
      if (found || from <= start) return fence
    }
  }
}

const none: ReadonlySet<BusRecord> = new Set()
