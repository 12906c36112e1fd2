import type { EventBus } from '../bus/port.ts'
import { CordonError, type Finding, type Instant } from '../schemas/index.ts'
import type { HostedDetector } from './host/hosted.ts'
import { readInput } from './host/input.ts'
import { createPartitionHost } from './host/partition/partition.ts'
import type { HostInput, PartitionHostOptions } from './host/partition/partition-host.ts'

export interface ReplayOptions extends Omit<PartitionHostOptions, 'topic' | 'partition' | 'partitions'> {
  readonly bus: Pick<EventBus, 'offsetsAt' | 'partitions' | 'read'>
  readonly detectors: readonly HostedDetector[]
  readonly topics: readonly string[]
  /**
   * Where to begin, by the records' time. The detectors know nothing of what was before, so findings that depend on
   * it differ from the live ones; without it the replay begins at the oldest record, and they are the same.
   */
  readonly from?: Instant
  /** The first record time that is not read any more. Default: up to the end as it is at the call. */
  readonly until?: Instant
}

/**
 * What these detectors would have found, partition by partition, in the order of each. Nothing is published. Records
 * that cannot be read are passed over, as they are live. Timers fire where the log says that time passed.
 *
 * @throws HostError, ZodError as `createPartitionHost`; BusError of the bus
 */
export async function* replay({ bus, detectors, topics, from, until, ...limits }: ReplayOptions): AsyncGenerator<Finding, void, void> {
  for (const topic of topics) {
    const begin = from === undefined ? null : await bus.offsetsAt(topic, from)
    const stop = until === undefined ? null : await bus.offsetsAt(topic, until)
    const states = await bus.partitions(topic)
    for (const { partition, start, end } of states) {
      const host = createPartitionHost(detectors, { ...limits, topic, partition, partitions: states.length })
      const offsets = { from: begin?.get(partition) ?? start, until: stop?.get(partition) ?? end }
      if (offsets.from >= offsets.until) continue
      for await (const records of bus.read(topic, partition, offsets.from, offsets.until)) {
        for (const record of records) {
          const input = inputOf(record)
          if (input === null) host.passOver(record.offset)
          else yield* host.apply(input, record.offset)
        }
      }
    }
  }
}

function inputOf(record: Parameters<typeof readInput>[0]): HostInput | null {
  try {
    return readInput(record)
  } catch (error) {
    if (error instanceof CordonError) return null
    throw error
  }
}
