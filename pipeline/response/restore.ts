import type { Logger } from 'pino'
import { z } from 'zod'
import { decode } from '../../bus/codec.ts'
import type { BusRecord, EventBus } from '../../bus/port.ts'
import type { IncidentBook } from '../../responders/incidents/incidents.ts'
import { type Action, type Incident, type Instant, leaseId } from '../../schemas/index.ts'
import { containedHeader, type IncidentEntry, type Through, throughHeader } from './journal.ts'
import type { Memory } from './memory.ts'

const Offsets = z.record(z.string(), z.int())

/** Fills a memory from the log: open incidents, who was contained before, and what was done. */
export async function restore(bus: EventBus, log: Logger, targets: Memory): Promise<void> {
  const entries = await readIncidents(bus, log)
  let since: Instant | null = null
  for (const { incident, through, contained } of entries) {
    targets.book.restore(incident, contained)
    if (incident.state === 'closed') targets.journal.noteClosed(incident.id)
    else {
      targets.through.set(incident.id, through)
      since = Math.min(since ?? incident.openedAt, incident.openedAt)
    }
  }
  if (since !== null) await readActions(bus, log, since, targets)
}

/** How far the topics go that a memory is made of: unequal ends mean that somebody wrote since. */
export async function endsOf(bus: EventBus): Promise<string> {
  const states = await Promise.all([bus.partitions('incidents'), bus.partitions('actions')])
  return JSON.stringify(states.flat().map(({ topic, partition, end }) => [topic, partition, end]))
}

async function readIncidents(bus: EventBus, log: Logger): Promise<readonly IncidentEntry[]> {
  const newest = new Map<string, IncidentEntry>()
  for (const { partition, start } of await bus.partitions('incidents')) {
    for await (const records of bus.read('incidents', partition, start)) {
      for (const record of records) {
        if (record.value === null && record.key !== null) newest.delete(record.key)
        const incident = dataOf(record, 'incident', log)
        if (incident !== null) newest.set(incident.id, entryOf(incident, record))
      }
    }
  }
  return [...newest.values()].sort((a, b) => (a.incident.closedAt ?? 0) - (b.incident.closedAt ?? 0))
}

/** An action's records carry the time of writing, which is never before its incident opened by the same clock, give or take. */
async function readActions(bus: EventBus, log: Logger, since: Instant, { book, ledger }: Memory): Promise<void> {
  const slack = 60 * 60 * 1_000
  for (const [partition, offset] of await bus.offsetsAt('actions', Math.max(0, since - slack))) {
    for await (const records of bus.read('actions', partition, offset)) {
      for (const record of records) {
        const action = dataOf(record, 'action', log)
        // What the guard refused is judged anew: its mode or its limits may be others now.
        if (action !== null && action.state !== 'would-have') ledger.put(action)
      }
    }
  }
  for (const action of ledger.list()) rejoin(action, book)
}

function rejoin(action: Action, book: IncidentBook): void {
  if (action.state === 'executed' && action.incident !== null && action.effect !== 'notify') {
    book.contain(action.incident, leaseId(action.target, action.responder), action.until)
  }
}

function entryOf(incident: Incident, record: BusRecord): IncidentEntry {
  return { incident, through: offsetsOf(record.headers[throughHeader]), contained: record.headers[containedHeader] === 'true' }
}

function offsetsOf(header: string | undefined): Through {
  if (header === undefined) return {}
  try {
    return Offsets.parse(JSON.parse(header))
  } catch {
    // Without it a redelivered finding may be counted twice; nothing is done twice.
    return {}
  }
}

function dataOf(record: BusRecord, kind: 'incident', log: Logger): Incident | null
function dataOf(record: BusRecord, kind: 'action', log: Logger): Action | null
function dataOf(record: BusRecord, kind: 'incident' | 'action', log: Logger): Incident | Action | null {
  if (record.value === null) return null
  try {
    const event = decode(record)
    if (event.kind === kind) return event.data as Incident | Action
  } catch (err) {
    log.warn({ err, topic: record.topic, offset: record.offset }, 'a record of an earlier run could not be read')
  }
  return null
}
