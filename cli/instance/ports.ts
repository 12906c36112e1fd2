import { z } from 'zod'
import type { KeyCommands } from '../../access/key-commands.ts'
import type { KeyRegistry } from '../../access/key-registry.ts'
import type { EventBus } from '../../bus/port.ts'
import type { View } from '../../bus/view.ts'
import type { ConsolePorts, InstanceStatus, KeyView, LimitView, TopicStatus } from '../../console/port.ts'
import { getDeadLetter, listDeadLetters } from '../../ingest/dead-letters.ts'
import type { Commander } from '../../pipeline/commands/commander.ts'
import { Action, Containment, type Incident, Key, Model, type Share, topics } from '../../schemas/index.ts'
import { listQueries } from '../../store/library.ts'
import type { Store } from '../../store/store.ts'
import type { ContainmentViews } from './containment-views.ts'
import type { RecentFindings } from './recent.ts'
import type { RecentActions } from './recent-actions.ts'

export interface Parts {
  readonly bus: EventBus
  readonly store: Pick<Store, 'query' | 'sql'>
  readonly keys: Pick<KeyRegistry, 'list' | 'get' | 'onChange'>
  readonly keyCommands: KeyCommands
  readonly models: View<Model>
  readonly incidents: View<Incident>
  readonly findings: RecentFindings
  readonly actions: RecentActions
  readonly containments: ContainmentViews
  readonly commander: Pick<Commander, 'order'>
  readonly limits: readonly LimitView[]
  readonly shares: Pick<View<Share>, 'values'>
  readonly status: () => Promise<InstanceStatus>
}

/** How long what was ordered may take to come back to us by the log; it is done before, and seen later. */
const visibleMs = 3_000
/** Shown of one subject. */
const mostShares = 1_000

const Position = z.object({ topic: z.string(), partition: z.number(), offset: z.number() })

/**
 * The console's ports over what this process reads from the bus and the store. It changes nothing by itself: what a
 * person wants is ordered, and carried out where the role `respond` or `ingest` runs.
 */
export function consolePorts(parts: Parts): ConsolePorts {
  const { bus, store, keys, keyCommands, models, incidents, findings, actions, containments, commander, limits, shares, status } = parts
  const isSeen = ({ id, revision }: Containment) => (containments.get(id)?.revision ?? -1) >= revision
  const viewed = async (lease: Containment) => {
    await until(() => isSeen(lease), containments.onChange)
    return containments.view(lease)
  }
  return {
    keys: {
      list: () => keys.list().map(viewOf),
      create: (request, by) => keyCommands.create(request, by),
      revoke: async (keyId, by) => {
        const key = Key.nullable().parse(await commander.order({ kind: 'revoke-key', keyId }, by))
        if (key === null) return null
        await until(() => keys.get(keyId)?.state === 'revoked', keys.onChange)
        return viewOf(key)
      },
      rotate: async (what, overlapMs, by) => {
        const successors = z.array(z.string()).parse(await commander.order({ kind: 'rotate-key', what, overlapMs }, by))
        await until(() => successors.every((id) => keys.get(id) !== undefined), keys.onChange)
        return successors
      },
      claim: (what, by) => keyCommands.claim(what, by),
    },
    models: {
      list: () => [...models.values()],
      promote: async (promotion, by) => {
        const made = Model.parse(await commander.order({ kind: 'promote-model', ...promotion }, by))
        const isSeen = () => models.get(made.name)?.current === made.current
        await until(isSeen, (fn) => models.onChange(fn))
        return made
      },
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
      ofIncident: (incident) => actions.list().filter((action) => action.incident === incident),
      waiting: () => actions.list().filter(({ state }) => state === 'awaiting-approval'),
      approve: async (id, by) => {
        const action = Action.nullable().parse(await commander.order({ kind: 'approve', action: id }, by))
        if (action !== null) await until(() => actions.get(id)?.state !== 'awaiting-approval', actions.onChange)
        return action
      },
    },
    containments: {
      list: () => containments.list(),
      get: (id) => containments.get(id),
      contain: async ({ by, ...request }) => viewed(Containment.parse(await commander.order({ kind: 'contain', ...request }, by))),
      release: async (lease, by) => {
        const released = Containment.nullable().parse(await commander.order({ kind: 'release', lease }, by))
        return released === null ? null : viewed(released)
      },
      onChange: (fn) => containments.onChange(fn),
    },
    forensics: {
      list: () => listQueries(),
      query: (name, params) => store.query(name, params),
      sql: (text) => store.sql(text),
    },
    deadLetters: {
      list: (filter) => listDeadLetters(bus, filter),
      get: (id) => getDeadLetter(bus, id),
      replay: async (letter, by) => Position.nullable().parse(await commander.order({ kind: 'replay-dead-letter', letter }, by)),
    },
    status,
    limits: {
      list: () => limits,
      sharesOf: (subject) =>
        Iterator.from(shares.values())
          .filter((share) => share.subject === subject)
          .take(mostShares)
          .toArray(),
    },
    topics: () => topicStatus(bus),
  }
}

/** Waits until `check` holds, asked again at each change, but not for longer than {@link visibleMs}. */
async function until(check: () => boolean, onChange: (fn: () => void) => () => void): Promise<void> {
  if (check()) return
  const done = Promise.withResolvers<void>()
  const timer = setTimeout(done.resolve, visibleMs)
  const stop = onChange(() => {
    if (check()) done.resolve()
  })
  await done.promise
  clearTimeout(timer)
  stop()
}

function viewOf(key: Key): KeyView {
  const { id, principal, organization, state, createdAt, expiresAt, revokedAt, replaces, addresses, origins, roles, capabilities } = key
  const use = { addresses, origins, roles, capabilities }
  return { id, keyId: id, principal, organization, state, createdAt, expiresAt, revokedAt, replaces, ...use }
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
