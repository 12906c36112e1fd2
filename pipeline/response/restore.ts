import type { Logger } from 'pino'
import { z } from 'zod'
import { decode } from '../../bus/codec.ts'
import { Fence } from '../../bus/fence.ts'
import type { BusRecord, EventBus } from '../../bus/port.ts'
import type { IncidentBook } from '../../responders/incidents/incidents.ts'
import { type Action, type Incident, type Instant, leaseId, type Risk } from '../../schemas/index.ts'
import { containedHeader, type IncidentEntry, revisionHeader, type Through, throughHeader } from './journal.ts'
import type { Memory } from './memory.ts'

const Offsets = z.record(z.string(), z.int())

export interface RestoreOptions {
  readonly bus: EventBus
  readonly log: Logger
  readonly now: Instant
  /** The newest record of each incident. */
  readonly incidents: ReadonlyMap<string, BusRecord>
  /** And of each principal's risk. */
  readonly risks: ReadonlyMap<string, BusRecord>
}

/** Fills a memory from the log: open incidents, who was contained before, what was done, and how risky principals are. */
export async function restore({ bus, log, now, incidents, risks }: RestoreOptions, targets: Memory): Promise<void> {
  let since = now
  for (const { incident, through, contained, revision } of entriesOf(incidents, log)) {
    targets.book.restore(incident, contained)
    targets.journal.noteWritten(incident, revision)
    if (incident.state === 'closed') continue
    targets.through.set(incident.id, through)
    since = Math.min(since, incident.openedAt)
  }
  for (const record of risks.values()) {
    const risk = dataOf(record, 'risk', log)
    if (risk !== null) targets.risks.restore(risk)
  }
  await readActions(bus, log, since, targets)
}

/** The longest closed first, then what is open. */
function entriesOf(incidents: ReadonlyMap<string, BusRecord>, log: Logger): readonly WrittenEntry[] {
  const entries = [...incidents.values()].flatMap((record) => {
    const incident = dataOf(record, 'incident', log)
    return incident === null ? [] : [entryOf(incident, record)]
  })
  return entries.sort((a, b) => (a.incident.closedAt ?? 0) - (b.incident.closedAt ?? 0))
}

/**
 * An action's records carry the time of writing, which is never before its incident opened by the same clock, give or
 * take; and what persons ordered last may be delivered again.
 */
async function readActions(bus: EventBus, log: Logger, since: Instant, { book, ledger }: Memory): Promise<void> {
  const slack = 60 * 60 * 1_000
  for (const [partition, offset] of await bus.offsetsAt('actions', Math.max(0, since - slack))) {
    const fence = new Fence('actions')
    for await (const records of bus.read('actions', partition, offset)) {
      for (const record of records) {
        const action = fence.judge(record) === 'counts' ? dataOf(record, 'action', log) : null
        if (action === null) continue
        // What the guard refused is judged anew: its mode or its limits may be others now. What a person declined is not.
        if (action.state !== 'would-have' || ledger.get(action.id) !== undefined) ledger.put(action)
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

interface WrittenEntry extends IncidentEntry {
  readonly revision: number
}

function entryOf(incident: Incident, { headers }: BusRecord): WrittenEntry {
  const through = offsetsOf(headers[throughHeader])
  return { incident, through, contained: headers[containedHeader] === 'true', revision: revisionOf(headers[revisionHeader]) }
}

/** Logs of before revisions were counted have none. */
function revisionOf(header: string | undefined): number {
  return header !== undefined && /^\d{1,9}$/.test(header) ? Number(header) : 0
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
function dataOf(record: BusRecord, kind: 'risk', log: Logger): Risk | null
function dataOf(record: BusRecord, kind: 'incident' | 'action' | 'risk', log: Logger): Incident | Action | Risk | null {
  if (record.value === null) return null
  try {
    const event = decode(record)
    if (event.kind === kind) return event.data as Incident | Action | Risk
  } catch (err) {
    log.warn({ err, topic: record.topic, offset: record.offset }, 'a record of an earlier run could not be read')
  }
  return null
}
