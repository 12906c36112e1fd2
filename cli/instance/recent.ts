import { decode } from '../../bus/codec.ts'
import type { BusRecord, EventBus } from '../../bus/port.ts'
import type { ContainmentView } from '../../console/port.ts'
import type { LeaseKeeper } from '../../pipeline/response/lease-keeper.ts'
import type { Acknowledgement, Containment, Finding } from '../../schemas/index.ts'

export interface RecentFindings {
  recent(): readonly Finding[]
  onChange(fn: (finding: Finding) => void): () => void
}

const keptFindings = 10_000
const keptAcknowledgements = 64

/** The newest findings, from the log; older ones are in the store. Resolves when it has read what is there. */
export async function tailFindings(bus: EventBus, onError: (error: unknown) => void): Promise<RecentFindings & { close(): Promise<void> }> {
  // By id and revision: a finding that was published again after a crash is the same finding.
  const kept = new Map<string, Finding>()
  const listeners = new Set<(finding: Finding) => void>()
  const tail = await tailTopic(bus, 'findings', onError, (record) => {
    const event = decode(record)
    if (event.kind !== 'finding') return
    const key = `${event.data.id}/${event.data.revision}`
    if (kept.has(key)) return
    kept.set(key, event.data)
    if (kept.size > keptFindings) kept.delete(kept.keys().next().value ?? '')
    for (const listener of listeners) listener(event.data)
  })
  return { recent: () => [...kept.values()], onChange: subscribing(listeners), close: () => tail.close() }
}

export interface ContainmentViews {
  list(): readonly ContainmentView[]
  get(id: string): ContainmentView | undefined
  view(lease: Containment): ContainmentView
  onChange(fn: (containment: ContainmentView) => void): () => void
}

/** Leases with what the nodes acknowledged of them. Resolves when it has read what is there. */
export async function watchContainments(
  bus: EventBus,
  leases: LeaseKeeper,
  onError: (error: unknown) => void,
): Promise<ContainmentViews & { close(): Promise<void> }> {
  const acknowledged = new Map<string, readonly Acknowledgement[]>()
  const listeners = new Set<(containment: ContainmentView) => void>()
  const view = (lease: Containment): ContainmentView => {
    const acknowledgements = (acknowledged.get(lease.id) ?? []).filter((a) => a.at >= lease.from)
    const timed = acknowledgements.flatMap((a) => (a.enforcedAfterMs === null ? [] : [a]))
    const first = timed.reduce((least, a) => Math.min(least, a.revision), Number.POSITIVE_INFINITY)
    // The slowest node, for the decision that opened the lease: later revisions only extend it.
    const slowest = timed.filter((a) => a.revision === first).map((a) => a.enforcedAfterMs ?? 0)
    return { ...lease, acknowledgements, enforcedAfterMs: slowest.length === 0 ? null : Math.max(...slowest) }
  }
  const tell = (lease: Containment | undefined) => {
    if (lease !== undefined) for (const listener of listeners) listener(view(lease))
  }
  const tail = await tailTopic(bus, 'acknowledgements', onError, (record) => {
    const event = decode(record)
    if (event.kind !== 'acknowledgement') return
    const known = acknowledged.get(event.data.lease) ?? []
    if (known.some((a) => a.node === event.data.node && a.revision === event.data.revision && a.at === event.data.at)) return
    acknowledged.delete(event.data.lease)
    acknowledged.set(event.data.lease, [...known, event.data].slice(-keptAcknowledgements))
    if (acknowledged.size > keptFindings) acknowledged.delete(acknowledged.keys().next().value ?? '')
    tell(leases.get(event.data.lease))
  })
  const stop = leases.onChange(tell)
  return {
    list: () => leases.list().map(view),
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

function subscribing<T>(listeners: Set<(value: T) => void>): (fn: (value: T) => void) => () => void {
  return (fn) => {
    listeners.add(fn)
    return () => listeners.delete(fn)
  }
}

/** Tails a topic from its start; resolves when caught up. What cannot be read is told and passed over. */
async function tailTopic(bus: EventBus, topic: string, onError: (error: unknown) => void, onRecord: (record: BusRecord) => void) {
  let caughtUp = () => {}
  const ready = new Promise<void>((resolve) => {
    caughtUp = resolve
  })
  const tail = await bus.tail({
    topic,
    from: 'start',
    onRecords: (records) => {
      for (const record of records) {
        try {
          onRecord(record)
        } catch (error) {
          onError(error)
        }
      }
    },
    onCaughtUp: () => caughtUp(),
    onError,
  })
  await ready
  return tail
}
