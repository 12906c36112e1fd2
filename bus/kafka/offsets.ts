import { Pause } from '../pause.ts'
import type { Brokers } from './brokers.ts'
import { toBusError, typeOf } from './failures.ts'

/** Oldest offset there is, and one past the newest. */
export interface Offsets {
  readonly start: number
  readonly end: number
}

const earliest = -2
const latest = -1

/** What Kafka answers while leaders and coordinators are being replaced, or just learn that they are. */
const passing = new Set([
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_FOR_PARTITION',
  'REPLICA_NOT_AVAILABLE',
  'BROKER_NOT_AVAILABLE',
  'NETWORK_EXCEPTION',
  'REQUEST_TIMED_OUT',
  'NOT_ENOUGH_REPLICAS',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'KAFKA_STORAGE_ERROR',
  'OFFSET_NOT_AVAILABLE',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'GROUP_LOAD_IN_PROGRESS',
  'GROUP_COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR_FOR_GROUP',
  'NOT_CONTROLLER',
  'UNSTABLE_OFFSET_COMMIT',
])

/**
 * Repeats `attempt`, which must be safe to repeat, while brokers are away or being replaced.
 *
 * @throws BusError what the last attempt failed with, after `forMs`, or at once where repeating cannot help
 */
export async function persist<T>(
  brokers: Brokers,
  forMs: number,
  doing: string,
  attempt: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const until = performance.now() + forMs
  const pause = new Pause(1_000)
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      const failure = toBusError(error, doing)
      const type = typeOf(error)
      const passes = type === undefined ? failure.code === 'BUS_UNAVAILABLE' : passing.has(type)
      if (!passes || performance.now() > until || signal?.aborted === true) throw failure
      await pause.wait(signal)
      await brokers.refresh().catch(() => {})
    }
  }
}

/**
 * Asks the leaders of a topic's partitions, which must be followed.
 *
 * @throws Error where one that was taken for a leader is none any more
 */
export async function readOffsets(
  brokers: Brokers,
  name: string,
  partitions: readonly number[],
  requestMs: number,
): Promise<Map<number, Offsets>> {
  const [starts, ends] = await Promise.all([
    listOffsets(brokers, name, partitions, earliest, requestMs),
    listOffsets(brokers, name, partitions, latest, requestMs),
    brokers.confirmLeaders(name, partitions),
  ])
  return new Map(partitions.map((partition) => [partition, { start: starts.get(partition) ?? 0, end: ends.get(partition) ?? 0 }]))
}

/** The first offset at or after a time, by partition; left out where there is none. */
export async function offsetsAtTime(
  brokers: Brokers,
  name: string,
  partitions: readonly number[],
  at: number,
  requestMs: number,
): Promise<Map<number, number>> {
  const found = await listOffsets(brokers, name, partitions, at, requestMs)
  return new Map([...found].filter(([, offset]) => offset >= 0))
}

async function listOffsets(
  brokers: Brokers,
  name: string,
  partitions: readonly number[],
  timestamp: number,
  requestMs: number,
): Promise<Map<number, number>> {
  const byLeader = Map.groupBy(partitions, (partition) => brokers.leaderOf(name, partition))
  const answers = await Promise.all(
    [...byLeader].map(([node, led]) => {
      if (node === null) throw new Error(`nobody leads ${name}/${led.join(', ')}`)
      const topics = [{ topic: name, partitions: led.map((partition) => ({ partition, timestamp })) }]
      return brokers.ask(node, requestMs, (broker) => broker.listOffsets({ isolationLevel: 1, topics }))
    }),
  )
  const found = answers.flatMap(({ responses }) => responses.flatMap((response) => response.partitions))
  return new Map(found.map(({ partition, offset }) => [partition, Number(offset)]))
}
