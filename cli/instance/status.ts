import type { EventBus } from '../../bus/port.ts'
import type { InstanceStatus, RoleStatus } from '../../console/port.ts'
import type { InferenceNode } from '../../inference/server/node.ts'
import type { Sink } from '../../ingest/sink.ts'
import type { DetectorHost } from '../../pipeline/host/shell.ts'
import type { ResponseWorker } from '../../pipeline/response-worker.ts'
import type { Instant } from '../../schemas/index.ts'
import type { Store } from '../../store/store.ts'

/** What the status is made of. */
export interface Observed {
  readonly version: string
  readonly startedAt: Instant
  readonly bus: EventBus
  readonly store: Store
  readonly sink: Sink
  readonly host: DetectorHost
  readonly worker: ResponseWorker
  readonly node: InferenceNode
  readonly clock: () => Instant
}

/** How old a waiting record may be before a role is said to fall behind. */
const behindRecords = 50_000

export async function statusOf(observed: Observed): Promise<InstanceStatus> {
  const { version, startedAt, bus, store, sink, host, worker, node } = observed
  const [lag, storeUp] = await Promise.all([
    lagOf(bus),
    store.ping().then(
      () => true,
      () => false,
    ),
  ])
  const sinkState = sink.state()
  const hostState = host.state()
  const workerState = worker.state()
  const nodeStatus = node.status()
  const roles: RoleStatus[] = [
    { role: 'node', ...nodeStatus },
    {
      role: 'ingest',
      ok: sinkState.blockedSince === null && lag.sink < behindRecords,
      summary:
        sinkState.blockedSince === null
          ? `${lag.sink} records behind`
          : `stopped since ${new Date(sinkState.blockedSince).toISOString()}: the store does not take rows; nothing is lost, the log keeps them`,
      detail: { ...sinkState },
    },
    {
      role: 'detect',
      ok: lag.detect < behindRecords,
      summary: `${hostState.partitions.length} partitions, ${lag.detect} records behind`,
      detail: { ...hostState },
    },
    {
      role: 'respond',
      ok: workerState.trouble === null,
      summary:
        workerState.trouble?.message ??
        `${workerState.incidents} incidents, ${workerState.leases} leases, ${workerState.waiting} actions wait for a person`,
      detail: { ...workerState },
    },
    { role: 'bus', ok: true, summary: bus.adapter, detail: {} },
    { role: 'store', ok: storeUp, summary: storeUp ? store.engine : `${store.engine} does not answer`, detail: {} },
  ]
  return { version, startedAt, ready: true, lag, roles }
}

/** Records on each group's topics that it has not committed. */
async function lagOf(bus: EventBus): Promise<InstanceStatus['lag']> {
  const lag = { sink: 0, detect: 0, respond: 0 }
  const ends = new Map<string, Promise<ReadonlyMap<number, { start: number; end: number }>>>()
  for (const { group, topic, partition, committed } of await bus.groups()) {
    if (group !== 'sink' && group !== 'detect' && group !== 'respond') continue
    let of = ends.get(topic)
    if (of === undefined) {
      of = bus.partitions(topic).then((all) => new Map(all.map((p) => [p.partition, p])))
      ends.set(topic, of)
    }
    const place = (await of).get(partition)
    if (place !== undefined) lag[group] += Math.max(0, place.end - Math.max(committed ?? 0, place.start))
  }
  return lag
}
