import type { EventBus } from '../../bus/port.ts'
import type { InstanceStatus, RoleStatus } from '../../console/port.ts'
import type { InferenceNode } from '../../inference/server/node.ts'
import { type Sink, sinkTopics } from '../../ingest/sink.ts'
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
  /** Topics that the detectors in force read. */
  readonly detecting: readonly string[]
}

/** How old a waiting record may be before a role is said to fall behind. */
const behindRecords = 50_000

export async function statusOf(observed: Observed): Promise<InstanceStatus> {
  const { version, startedAt, bus, store, sink, host, worker, node, detecting } = observed
  const [lag, storeUp] = await Promise.all([
    lagOf(bus, detecting),
    store.ping().then(
      () => true,
      () => false,
    ),
  ])
  const sinkState = sink.state()
  const { blocked } = sinkState
  const hostState = host.state()
  const workerState = worker.state()
  const nodeStatus = node.status()
  const roles: RoleStatus[] = [
    { role: 'node', ...nodeStatus },
    {
      role: 'ingest',
      ok: blocked === null && lag.sink < behindRecords,
      summary:
        blocked === null
          ? `${lag.sink} records behind`
          : `stopped since ${new Date(blocked.since).toISOString()}, the log keeps what comes: ${blocked.reason}`,
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

/** Records on each group's topics that it has not committed. A topic that nobody in the group reads keeps nobody behind. */
export async function lagOf(bus: EventBus, detecting: readonly string[]): Promise<InstanceStatus['lag']> {
  const readers: Readonly<Record<keyof InstanceStatus['lag'], readonly string[]>> = {
    sink: sinkTopics,
    detect: detecting,
    respond: ['findings'],
  }
  const groups = await bus.groups()
  const committed = new Map(groups.map((g) => [`${g.group}/${g.topic}/${g.partition}`, g.committed]))
  const lag = { sink: 0, detect: 0, respond: 0 }
  for (const topic of new Set(Object.values(readers).flat())) {
    for (const { partition, start, end } of await bus.partitions(topic)) {
      for (const group of Object.keys(readers) as (keyof typeof readers)[]) {
        if (!readers[group].includes(topic)) continue
        lag[group] += Math.max(0, end - Math.max(committed.get(`${group}/${topic}/${partition}`) ?? 0, start))
      }
    }
  }
  return lag
}
