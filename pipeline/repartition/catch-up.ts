import type { PartitionState } from '../../bus/port.ts'
import { restoreApplier } from '../host/lane/appliers.ts'
import type { RestoreSite } from '../host/lane/hosting.ts'
import { Lane } from '../host/lane/lane.ts'
import { oweRemoved } from '../host/lane/removed.ts'
import { otherSlot } from '../host/snapshot/snapshot-log.ts'
import { RepartitionError } from './errors.ts'
import type { Snapshots } from './snapshots.ts'

/** A partition as it is before the topic grows. */
export interface Behind extends PartitionState {
  readonly partitions: number
  /** What came of records before it is durable. */
  readonly committed: number
}

/**
 * Brings a partition up to its end just as a detect process does that owns it, and leaves a snapshot that stands there.
 *
 * @returns how many findings were published
 * @throws RepartitionError `NOT_PUBLISHED`, BusError of the bus: nothing is lost, begin again
 */
export async function catchUp(behind: Behind, site: RestoreSite & { readonly snapshots: Snapshots }): Promise<number> {
  const { topic, partition, partitions, start, end } = behind
  const { context, snapshots } = site
  // Beyond the end it speaks of another log than this one.
  const committed = behind.committed <= end ? behind.committed : 0
  const work = await restoreApplier(behind, { start, end, partitions, committed }, site)
  const control = { commit: async () => {}, signal: new AbortController().signal, held: () => true }
  const lane = new Lane(work, committed, control, context)
  await oweRemoved(work, { start, committed }, site.bounds)
  const process = async (from: number, until: number): Promise<number> => {
    const before = work.host.counts.findings
    if (from < until) {
      for await (const records of context.bus.read(topic, partition, from, until)) await lane.process({ topic, partition, records, end })
    }
    return work.host.counts.findings - before
  }
  const quietUntil = Math.max(committed, start)
  await process(Math.max(work.host.next, start), quietUntil)
  const published = await process(Math.max(work.host.next, quietUntil), end)
  await lane.process({ topic, partition, records: [], end })
  await lane.finish()
  if (work.debts.size > 0)
    throw new RepartitionError('NOT_PUBLISHED', `${topic}/${partition}: its findings could not be published; run the command again`)
  const standing = await snapshots.usable(topic, partition, partitions)
  if (standing?.stored.offset === work.host.next) return published
  const [newest] = await context.snapshots.find(topic, partition)
  const cut = work.host.cut()
  const place = { topic, partition, partitions, slot: otherSlot(newest?.slot ?? null), offset: cut.offset }
  await context.snapshots.write(place, textOf(cut))
  return published
}

function* textOf(cut: { read(stretchMs: number): string | null }): Generator<string> {
  for (let text = cut.read(20); text !== null; text = cut.read(20)) yield text
}
