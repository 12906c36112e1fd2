import { encode, newEvent, tombstone } from '../../bus/codec.ts'
import type { EventBus, OutgoingRecord } from '../../bus/port.ts'
import type { Action, Incident, Instant } from '../../schemas/index.ts'

/** Offset of the newest finding that an incident takes into account, by partition of `findings`. */
export type Through = Readonly<Record<string, number>>

/**
 * What the worker adds to an incident's record for its own next start. It rides in headers, not in the contract:
 * nobody else needs it.
 */
export const throughHeader = 'cordon_findings_through'
export const containedHeader = 'cordon_contained'

export interface IncidentEntry {
  readonly incident: Incident
  readonly through: Through
  readonly contained: boolean
}

/** Incidents and actions that changed and are not on the log yet. They stay until they are. */
export class Journal {
  readonly #bus: EventBus
  readonly #source: string
  readonly #maxClosed: number
  readonly #incidents = new Map<string, IncidentEntry>()
  readonly #actions: Action[] = []
  /** Closed incidents on the topic, the longest closed first. */
  readonly #closed = new Set<string>()

  constructor(bus: EventBus, source: string, maxClosed: number) {
    this.#bus = bus
    this.#source = source
    this.#maxClosed = maxClosed
  }

  /** Replaces an earlier unwritten state of the incident: only the newest counts on a compacted topic. */
  incident(entry: IncidentEntry): void {
    this.#incidents.set(entry.incident.id, entry)
  }

  action(action: Action): void {
    this.#actions.push(action)
  }

  /** An incident that was closed on the log already. */
  noteClosed(id: string): void {
    this.#closed.add(id)
  }

  /** Writes everything that changed, in one go. Rejects with the bus's error, and then all of it is still to be written. */
  async flush(now: Instant): Promise<void> {
    const incidents = [...this.#incidents.values()]
    const actions = [...this.#actions]
    if (incidents.length + actions.length === 0) return
    const surplus = this.#surplus(incidents)
    await this.#bus.publish([
      ...incidents.map((entry) => this.#incidentRecord(entry, now)),
      ...actions.map((action) => encode('actions', newEvent('action', action, this.#source, now))),
      ...surplus.map((id) => tombstone('incidents', id, now)),
    ])
    for (const entry of incidents) {
      if (this.#incidents.get(entry.incident.id) === entry) this.#incidents.delete(entry.incident.id)
      if (entry.incident.state === 'closed') this.#closed.add(entry.incident.id)
      else this.#closed.delete(entry.incident.id)
    }
    this.#actions.splice(0, actions.length)
    for (const id of surplus) this.#closed.delete(id)
  }

  #surplus(incidents: readonly IncidentEntry[]): readonly string[] {
    const over = this.#closed.size - this.#maxClosed
    if (over <= 0) return []
    const written = new Set(incidents.map(({ incident }) => incident.id))
    return [...this.#closed].slice(0, over).filter((id) => !written.has(id))
  }

  #incidentRecord({ incident, through, contained }: IncidentEntry, now: Instant): OutgoingRecord {
    const record = encode('incidents', newEvent('incident', incident, this.#source, now))
    const headers = { ...record.headers, [throughHeader]: JSON.stringify(through), [containedHeader]: String(contained) }
    return { ...record, headers }
  }
}
