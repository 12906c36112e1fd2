import type { EventBus } from '../../bus/port.ts'
import type { InstanceStatus, InstanceView, Lag, RoleStatus } from '../../console/port.ts'
import { sinkTopics } from '../../ingest/sink.ts'
import { type Instant, RoleName, topics } from '../../schemas/index.ts'
import type { Store } from '../../store/store.ts'
import type { Instances } from './instances.ts'
import { Probe } from './probe.ts'
import { roleStatus } from './role-status.ts'

/** What the status is made of. */
export interface Observed {
  readonly version: string
  readonly startedAt: Instant
  readonly bus: EventBus
  readonly store: Pick<Store, 'engine' | 'ping'>
  readonly instances: Instances
  readonly clock: () => Instant
  /** Topics that the detectors in force read. */
  readonly detecting: readonly string[]
}

/** How long the bus and the store may take to answer before the status goes on without them. */
const patienceMs = 2_000
/** Who reads on without a word from the bus for so long has lost it. */
const staleBoundMs = 15_000
const day = 86_400_000

/** The state of every role, from what its processes say of themselves, and of the bus and the store, which are asked. */
export function openStatus(observed: Observed): () => Promise<InstanceStatus> {
  const { version, startedAt, bus, store, instances, clock, detecting } = observed
  const onBus = new Probe(
    async () => ({ lag: await lagOf(bus, detecting), deadLetters: await recentDeadLetters(bus, clock() - day) }),
    patienceMs,
  )
  const inStore = new Probe(() => store.ping(), patienceMs)
  return async () => {
    const [busAnswer, storeAnswer] = await Promise.all([onBus.read(), inStore.read()])
    const { lag, deadLetters } = busAnswer.value ?? { lag: null, deadLetters: null }
    const all = instances.list()
    const now = clock()
    const live = all.filter(({ alive }) => alive)
    const roles = RoleName.options.map((role) => roleStatus(role, all, now, behind(lag, role)))
    return {
      version,
      startedAt,
      ready: RoleName.options.every((role) => live.some((instance) => instance.role === role)),
      lag,
      lagMs: { sink: oldest(live, 'ingest'), detect: oldest(live, 'detect'), respond: oldest(live, 'respond') },
      roles: [...roles, busStatus(bus, instances.staleMs(), busAnswer.error), storeStatus(store, storeAnswer)],
      instances: all,
      snapshotAgeMs: live.reduce<number | null>(
        (most, { snapshotAgeMs }) => (snapshotAgeMs === null ? most : Math.max(most ?? 0, snapshotAgeMs)),
        null,
      ),
      spoolBytes: live.reduce((sum, { spoolBytes }) => sum + (spoolBytes ?? 0), 0),
      deadLetters,
    }
  }
}

/** Records that wait for a role and make it slow; a responder's backlog is short, or something else is wrong with it. */
function behind(lag: Lag | null, role: RoleName): number {
  return (role === 'ingest' ? lag?.sink : role === 'detect' ? lag?.detect : 0) ?? 0
}

/** Age of the oldest record that a role's owners have not handled. */
function oldest(live: readonly InstanceView[], role: RoleName): number {
  const ages = live.flatMap((instance) =>
    instance.role === role ? instance.assignments.flatMap(({ standby, lagMs }) => (standby ? [] : [lagMs])) : [],
  )
  return Math.max(0, ...ages)
}

function busStatus({ adapter }: EventBus, staleMs: number, error: string | null): RoleStatus {
  if (staleMs > staleBoundMs) {
    const since = Number.isFinite(staleMs) ? ` for ${Math.round(staleMs / 1_000)} s` : ''
    return { role: 'bus', ok: false, summary: `${adapter} says nothing${since}; what you see may be as old`, detail: { staleMs } }
  }
  if (error !== null) return { role: 'bus', ok: false, summary: `${adapter} does not answer: ${error}`, detail: { staleMs } }
  return { role: 'bus', ok: true, summary: adapter, detail: { staleMs } }
}

function storeStatus({ engine }: Observed['store'], { value, error }: { value: boolean | null; error: string | null }): RoleStatus {
  const ok = value === true
  return { role: 'store', ok, summary: ok ? engine : `${engine} does not answer`, detail: error === null ? {} : { error } }
}

/** Records on each group's topics that it has not committed. A topic that nobody in the group reads keeps nobody behind. */
export async function lagOf(bus: EventBus, detecting: readonly string[]): Promise<Lag> {
  const readers: Readonly<Record<keyof Lag, readonly string[]>> = {
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

async function recentDeadLetters(bus: EventBus, since: Instant): Promise<number> {
  const { name } = topics['dead-letters']
  const from = await bus.offsetsAt(name, since)
  const partitions = await bus.partitions(name)
  return partitions.reduce((sum, { partition, end }) => sum + Math.max(0, end - (from.get(partition) ?? end)), 0)
}
