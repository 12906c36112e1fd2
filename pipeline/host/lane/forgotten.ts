import type { Instant } from '../../../schemas/index.ts'
import { topicsObserved } from '../input.ts'
import type { PartitionHost } from '../partition/partition-host.ts'
import { oldestKey } from '../snapshot/oldest-key.ts'
import type { StoredSnapshot } from '../snapshot/snapshot-log.ts'
import type { TopicPartition } from '../standby/standby.ts'
import type { Extent, RestoreSite } from './hosting.ts'
import type { Unseen } from './unseen.ts'

/**
 * What the detectors of a partition knew and do not know any more: their state is made again from the log's oldest record, and what
 * came of those before it was in snapshots that cannot be used, or is in none. Null where all of it is there.
 *
 * @param restored the first offset that is not in the state that was restored, and how far event time had come there
 * @param refused the snapshots that could not be used, the furthest first
 * @throws BusError of the bus
 */
export async function forgotten(
  place: TopicPartition,
  { next, watermark }: Pick<PartitionHost, 'next' | 'watermark'>,
  refused: readonly StoredSnapshot[],
  { start, committed }: Pick<Extent, 'start' | 'committed'>,
  { hosting, context, bounds }: RestoreSite,
): Promise<Unseen | null> {
  const known = Math.max(committed, ...refused.map(({ offset }) => offset))
  const memories = hosting.detectors
    .filter((detector) => topicsObserved([detector]).includes(place.topic))
    .map(({ definition }) => definition.idleMs)
  if (next >= Math.min(start, known) || memories.length === 0) return null
  const until = await bounds.firstTime(place, start)
  // Where no snapshot says it: a key that was not touched for longer would have been dropped by then.
  const oldest = (await oldestOf(refused)) ?? until - Math.max(...memories)
  const text = 'what the detectors knew is lost with its snapshot, and the log no longer has what it came of'
  context.log.warn({ ...place, from: next, until: start }, text)
  const from = Math.min(Math.max(oldest, watermark ?? 0), until)
  return { kind: 'forgotten', firstOffset: next, lastOffset: Math.min(start, known) - 1, againFrom: start, from, until, worstMs: null }
}

/** Null where none can be read. A key is no older in a later snapshot than in an earlier one. */
async function oldestOf(refused: readonly StoredSnapshot[]): Promise<Instant | null> {
  for (const stored of refused) {
    const oldest = await oldestKey(stored.lines())
    if (oldest !== null) return oldest
  }
  return null
}
