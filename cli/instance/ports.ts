import type { KeyRegistry } from '../../access/key-registry.ts'
import type { EventBus } from '../../bus/port.ts'
import type { View } from '../../bus/view.ts'
import type { ConsolePorts, InstanceStatus, KeyView, TopicStatus } from '../../console/port.ts'
import type { ResponseWorker } from '../../pipeline/response-worker.ts'
import { type Incident, type Instant, type Key, topics } from '../../schemas/index.ts'
import { listQueries } from '../../store/library.ts'
import type { Store } from '../../store/store.ts'
import type { ContainmentViews, RecentFindings } from './recent.ts'

export interface Parts {
  readonly bus: EventBus
  readonly store: Store
  readonly keys: KeyRegistry
  readonly incidents: View<Incident>
  readonly findings: RecentFindings
  readonly containments: ContainmentViews
  readonly worker: ResponseWorker
  readonly clock: () => Instant
  readonly status: () => Promise<InstanceStatus>
}

/** The console's ports over the parts of this process. */
export function consolePorts({ bus, store, keys, incidents, findings, containments, worker, clock, status }: Parts): ConsolePorts {
  return {
    keys: {
      list: () => keys.list().map(viewOf),
      create: (request) => keys.create(request),
      revoke: async (keyId) => {
        const key = await keys.revoke(keyId)
        return key === null ? null : viewOf(key)
      },
      rotate: (what, overlapMs) => keys.rotate(what, clock() + overlapMs),
      claim: (what) => keys.claim(what),
    },
    incidents: {
      list: () => [...incidents.values()],
      get: (id) => incidents.get(id),
      onChange: (fn) =>
        incidents.onChange((_id, incident) => {
          if (incident !== undefined) fn(incident)
        }),
    },
    findings,
    actions: {
      ofIncident: (incident) => worker.actionsOf(incident),
      waiting: () => worker.waiting(),
      approve: (action, by) => worker.approve(action, by),
    },
    containments: {
      list: () => containments.list(),
      get: (id) => containments.get(id),
      contain: async (request) => containments.view(await worker.contain(request)),
      release: async (id, by) => {
        const lease = await worker.release(id, by)
        return lease === null ? null : containments.view(lease)
      },
      onChange: (fn) => containments.onChange(fn),
    },
    forensics: {
      list: () => listQueries(),
      query: (name, params) => store.query(name, params),
      sql: (text) => store.sql(text),
    },
    status,
    topics: () => topicStatus(bus),
  }
}

function viewOf(key: Key): KeyView {
  const { id, principal, organization, state, createdAt, expiresAt, revokedAt, replaces } = key
  return { id, keyId: id, principal, organization, state, createdAt, expiresAt, revokedAt, replaces }
}

async function topicStatus(bus: EventBus): Promise<TopicStatus[]> {
  const groups = await bus.groups()
  const found: TopicStatus[] = []
  for (const { name } of Object.values(topics)) {
    for (const { partition, start, end } of await bus.partitions(name)) {
      const readers = groups.filter((g) => g.topic === name && g.partition === partition)
      found.push({ topic: name, partition, start, end, committed: Object.fromEntries(readers.map((g) => [g.group, g.committed])) })
    }
  }
  return found
}
