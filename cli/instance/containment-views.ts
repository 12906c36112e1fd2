import { LastUsed } from '../../bounded/last-used.ts'
import { decode } from '../../bus/codec.ts'
import type { EventBus } from '../../bus/port.ts'
import type { View } from '../../bus/view.ts'
import type { ContainmentView } from '../../console/port.ts'
import type { Acknowledgement, Containment, Instant } from '../../schemas/index.ts'
import { subscribing, tailTopic } from './recent.ts'

export interface ContainmentViews {
  list(): readonly ContainmentView[]
  get(id: string): ContainmentView | undefined
  view(lease: Containment): ContainmentView
  onChange(fn: (containment: ContainmentView) => void): () => void
  close(): Promise<void>
}

export interface ContainmentViewsOptions {
  readonly bus: EventBus
  readonly leases: View<Containment>
  /** Nodes that are to enforce. */
  readonly liveNodes: () => readonly string[]
  readonly clock: () => Instant
  readonly onError: (error: unknown) => void
  /** Most leases whose acknowledgements are kept, and most nodes of each. Default 10,000 and 1,024. */
  readonly maxLeases?: number
  readonly maxNodes?: number
}

/** Of one node about one lease: the first of its newest decision, and the newest. */
type OfNode = readonly Acknowledgement[]

/** Leases with what the nodes acknowledged of them. Resolves when it has read what is there. */
export async function watchContainments(options: ContainmentViewsOptions): Promise<ContainmentViews> {
  const { bus, leases, liveNodes, clock, onError, maxLeases = 10_000, maxNodes = 1_024 } = options
  const acknowledged = new LastUsed<string, LastUsed<string, OfNode>>(maxLeases)
  const listeners = new Set<(containment: ContainmentView) => void>()
  const view = (lease: Containment): ContainmentView => {
    const byNode = acknowledged.peek(lease.id)
    const acknowledgements = [...(byNode?.values() ?? [])]
      .flat()
      .filter((a) => isAbout(a, lease))
      .sort((a, b) => a.at - b.at)
    const timed = acknowledgements.flatMap((a) => (a.enforcedAfterMs === null ? [] : [a]))
    const first = new Map<string, number>()
    for (const { node, enforcedAfterMs } of timed) if (!first.has(node)) first.set(node, enforcedAfterMs ?? 0)
    const holds = lease.state === 'active' && lease.until > clock()
    const enforcing = (node: string) => byNode?.peek(node)?.some((a) => a.revision >= lease.revision) === true
    return {
      ...lease,
      acknowledgements,
      enforcedAfterMs: first.size === 0 ? null : Math.max(...first.values()),
      awaiting: holds ? liveNodes().filter((node) => !enforcing(node)) : [],
    }
  }
  const tell = (lease: Containment | undefined) => {
    if (lease !== undefined) for (const listener of listeners) listener(view(lease))
  }
  const tail = await tailTopic(bus, 'acknowledgements', onError, (record) => {
    const event = decode(record)
    if (event.kind !== 'acknowledgement') return
    const { lease, node } = event.data
    const byNode = acknowledged.peek(lease) ?? new LastUsed<string, OfNode>(maxNodes)
    const known = byNode.peek(node) ?? []
    const kept = evolve(known, event.data)
    if (kept === known) return
    byNode.set(node, kept)
    acknowledged.set(lease, byNode)
    tell(leases.get(lease))
  })
  const stop = leases.onChange((_id, lease) => tell(lease))
  return {
    list: () => Array.from(leases.values(), view),
    get: (id) => {
      const lease = leases.get(id)
      return lease === undefined ? undefined : view(lease)
    },
    view,
    onChange: subscribing(listeners),
    close: () => {
      stop()
      return tail.close()
    },
  }
}

/** An older one, or the same again, changes nothing: the log may bring both. */
function evolve(known: OfNode, next: Acknowledgement): OfNode {
  const newest = known.at(-1)
  const [first] = known
  if (newest === undefined || first === undefined) return [next]
  if (next.revision < newest.revision || (next.revision === newest.revision && next.at <= newest.at)) return known
  // One that names no decision is of a node that began anew, or of a person's order, which is a new revision.
  const sameDecision = next.enforcedAfterMs === null ? next.revision === newest.revision : decidedAt(next) === decidedAt(first)
  return sameDecision ? [first, next] : [next]
}

/** When what it acknowledges was decided; null where it does not tell. */
function decidedAt({ at, enforcedAfterMs }: Acknowledgement): Instant | null {
  return enforcedAfterMs === null ? null : at - enforcedAfterMs
}

/** Whether it is about the lease as it stands, rather than an earlier one of the same id. */
function isAbout(acknowledgement: Acknowledgement, lease: Containment): boolean {
  const decided = decidedAt(acknowledgement)
  return decided === null ? acknowledgement.revision === lease.revision || acknowledgement.at >= lease.from : decided === lease.decidedAt
}
