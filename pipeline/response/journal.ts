import { encode, newEvent, tombstone } from '../../bus/codec.ts'
import type { OutgoingRecord } from '../../bus/port.ts'
import type { Action, Incident, Instant, Risk } from '../../schemas/index.ts'
import { derivedUuid } from '../host/finding-id.ts'
import type { Charge } from './charge.ts'

/** Offset of the newest finding that an incident takes into account, by partition of `findings`. */
export type Through = Readonly<Record<string, number>>

/**
 * What the worker adds to an incident's record for its own next start. It rides in headers, not in the contract:
 * nobody else needs it.
 */
export const throughHeader = 'cordon_findings_through'
export const containedHeader = 'cordon_contained'
export const revisionHeader = 'cordon_revision'

export interface IncidentEntry {
  readonly incident: Incident
  readonly through: Through
  readonly contained: boolean
}

/**
 * Incidents, actions and risks that changed and are not on the log yet. They stay until they are. Their events' ids follow
 * from what they say, so that what is written twice is one event.
 */
export class Journal {
  readonly #charge: Pick<Charge, 'publish'>
  readonly #source: string
  readonly #maxClosed: number
  readonly #incidents = new Map<string, IncidentEntry>()
  readonly #actions: Action[] = []
  /** By principal; null is to be forgotten. */
  readonly #risks = new Map<string, Risk | null>()
  /** Closed incidents on the topic, the longest closed first. */
  readonly #closed = new Set<string>()
  /** Records of an incident on the topic so far: one that is as it was before is another event. */
  readonly #revisions = new Map<string, number>()

  constructor(charge: Pick<Charge, 'publish'>, source: string, maxClosed: number) {
    this.#charge = charge
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

  risk(risk: Risk): void {
    this.#risks.set(risk.principal, risk)
  }

  forgetRisk(principal: string): void {
    this.#risks.set(principal, null)
  }

  /** An incident that is on the log already, with its revision there. */
  noteWritten({ id, state }: Incident, revision: number): void {
    this.#revisions.set(id, revision + 1)
    if (state === 'closed') this.#closed.add(id)
  }

  /** Writes everything that changed, in one go. Rejects with the bus's error, and then all of it is still to be written. */
  async flush(now: Instant): Promise<void> {
    const incidents = [...this.#incidents.values()]
    const actions = [...this.#actions]
    const risks = [...this.#risks]
    if (incidents.length + actions.length + risks.length === 0) return
    const surplus = this.#surplus(incidents)
    await this.#charge.publish([
      ...incidents.map((entry) => this.#incidentRecord(entry, now)),
      ...actions.map((action) => this.#actionRecord(action, now)),
      ...surplus.map((id) => tombstone('incidents', id, now)),
      ...risks.map(([principal, risk]) => this.#riskRecord(principal, risk, now)),
    ])
    for (const entry of incidents) {
      const { id } = entry.incident
      if (this.#incidents.get(id) === entry) this.#incidents.delete(id)
      this.#revisions.set(id, this.#revisionOf(id) + 1)
      if (entry.incident.state === 'closed') this.#closed.add(entry.incident.id)
      else this.#closed.delete(entry.incident.id)
    }
    this.#actions.splice(0, actions.length)
    for (const [principal, risk] of risks) if (this.#risks.get(principal) === risk) this.#risks.delete(principal)
    for (const id of surplus) {
      this.#closed.delete(id)
      this.#revisions.delete(id)
    }
  }

  #surplus(incidents: readonly IncidentEntry[]): readonly string[] {
    const over = this.#closed.size - this.#maxClosed
    if (over <= 0) return []
    const written = new Set(incidents.map(({ incident }) => incident.id))
    return [...this.#closed].slice(0, over).filter((id) => !written.has(id))
  }

  #incidentRecord({ incident, through, contained }: IncidentEntry, now: Instant): OutgoingRecord {
    const revision = this.#revisionOf(incident.id)
    const id = derivedUuid(`incident/${incident.id}/${revision}/${JSON.stringify(incident)}`)
    const record = encode('incidents', newEvent('incident', incident, this.#source, now, id))
    const added = { [throughHeader]: JSON.stringify(through), [containedHeader]: String(contained), [revisionHeader]: String(revision) }
    return { ...record, headers: { ...record.headers, ...added } }
  }

  /** An action never comes back to a state for the same reason, so what it says tells its records apart. */
  #actionRecord(action: Action, now: Instant): OutgoingRecord {
    const id = derivedUuid(`action/${action.id}/${action.state}/${action.note}`)
    return encode('actions', newEvent('action', action, this.#source, now, id))
  }

  #riskRecord(principal: string, risk: Risk | null, now: Instant): OutgoingRecord {
    if (risk === null) return tombstone('risks', principal, now)
    const id = derivedUuid(`risk/${JSON.stringify(risk)}`)
    return encode('risks', newEvent('risk', risk, this.#source, now, id))
  }

  #revisionOf(incident: string): number {
    return this.#revisions.get(incident) ?? 0
  }
}
