import type { HostContext } from '../context.ts'
import { limitsOf } from '../limits.ts'
import { createPartitionHost } from '../partition/partition.ts'
import type { StoredSnapshot } from '../snapshot/snapshot-log.ts'
import type { TopicPartition } from '../standby/standby.ts'
import { Applier } from './applier.ts'
import { forgotten } from './forgotten.ts'
import type { Extent, Hosting, RestoreSite } from './hosting.ts'

/**
 * A host that took over the furthest snapshot that can be used, or a new one; what it lacks for that is to be stated by whoever
 * owns the partition.
 *
 * @throws BusError of the bus
 */
export async function restoreApplier(place: TopicPartition, extent: Extent, site: RestoreSite): Promise<Applier> {
  const { applier, refused } = await furthest(place, extent, site)
  applier.forgotten = await forgotten(place, applier.host, refused, extent, site)
  return applier
}

/** With the snapshots that could not be used, the furthest first. */
async function furthest(place: TopicPartition, extent: Extent, { hosting, context }: RestoreSite) {
  const { topic, partition } = place
  const refused: StoredSnapshot[] = []
  for (const stored of await context.snapshots.find(topic, partition)) {
    if (stored.offset > extent.end || stored.partitions !== extent.partitions) continue
    const applier = newApplier(place, extent, hosting, context)
    try {
      await applier.host.restore(stored.lines())
      return { applier, refused }
    } catch (error) {
      refused.push(stored)
      context.log.warn({ err: error, topic, partition, offset: stored.offset }, 'a snapshot cannot be used')
    }
  }
  return { applier: newApplier(place, extent, hosting, context), refused }
}

function newApplier({ topic, partition }: TopicPartition, { end, partitions }: Extent, hosting: Hosting, context: HostContext): Applier {
  const meter = { on: false }
  const detectors = hosting.detectors.map((detector) => context.metrics.around(detector, meter))
  const onFault = (detector: string, _key: string | null, error: unknown) => {
    if (meter.on) hosting.onFault(detector, error)
  }
  const onUnapplied = (offset: number, error: unknown) => {
    if (meter.on) hosting.onUnapplied({ topic, partition, offset }, error)
  }
  const host = createPartitionHost(detectors, { ...limitsOf(hosting), topic, partition, partitions, onFault, onUnapplied })
  return new Applier({ topic, partition, partitions, host, end, meter }, context)
}
