import type { Finding, Incident, Instant, Target } from '../../schemas/index.ts'
import { ContainmentHistory } from './history.ts'
import { mergeFinding, openIncident } from './merge.ts'
import { belongs, subjectsOf } from './subjects.ts'

const hour = 60 * 60 * 1_000

export interface IncidentOptions {
  /** Without a finding for this long, and with no lease running, an incident is over. */
  readonly quietMs: number
  /** Incidents open at once. One more closes the one that has been quiet longest, uncontained ones first. */
  readonly maxOpen: number
  /** Targets whose earlier containments are remembered, and for how long, for `repetitions`. */
  readonly maxHistory: number
  readonly historyMs: number
  /** 32 hex digits of a text; equal texts, equal digits. */
  readonly hash: (text: string) => string
}

export const incidentDefaults = { quietMs: hour, maxOpen: 1_000, maxHistory: 50_000, historyMs: 30 * 24 * hour } as const

/** Finding ids whose revisions, and leases whose ends, are kept for an incident. */
const maxTracked = 1_024

export interface Fold {
  readonly incident: Incident
  /** `known`: this revision of the finding was folded before. */
  readonly change: 'opened' | 'updated' | 'known'
  /** Incidents that ended by this: those that were over, or the one that made room. */
  readonly closed: readonly ClosedIncident[]
}

export interface ClosedIncident {
  readonly incident: Incident
  /** It was contained, so that the next one about its targets counts a repetition. */
  readonly contained: boolean
}

interface Tracked {
  incident: Incident
  /** Highest revision folded, by finding id; -1 where only the id is known from before a restart. */
  readonly revisions: Map<string, number>
  /** When each lease of it ends, by lease id, ended ones included; those that a person released are taken out. */
  readonly leases: Map<string, Instant>
}

/** Open incidents, and what closed ones left behind. Changed in place by its owner; time is an argument. */
export class IncidentBook {
  readonly #options: IncidentOptions
  readonly #open = new Map<string, Tracked>()
  readonly #byTarget = new Map<Target, Set<string>>()
  readonly #history: ContainmentHistory

  constructor(options: IncidentOptions) {
    this.#options = options
    this.#history = new ContainmentHistory(options.maxHistory, options.historyMs)
  }

  get(id: string): Incident | undefined {
    return this.#open.get(id)?.incident
  }

  list(): readonly Incident[] {
    return [...this.#open.values()].map((tracked) => tracked.incident)
  }

  get size(): number {
    return this.#open.size
  }

  /** Whether it was contained, and nobody called that a mistake by releasing everything. */
  wasContained(id: string): boolean {
    return (this.#open.get(id)?.leases.size ?? 0) > 0
  }

  /**
   * Puts a finding in the incident it belongs to, or opens one. Only an incident that still goes on takes it: one
   * that was contained until its leases ran out, or that was long quiet, is closed, and the next counts a repetition.
   *
   * @param counted says that the incident on the log already counts the finding (a redelivery after a restart)
   */
  fold(finding: Finding, now: Instant, counted: (incident: Incident) => boolean = () => false): Fold {
    const related = this.#related(finding)
    const home = related.find((tracked) => (tracked.revisions.get(finding.id) ?? -1) >= finding.revision)
    if (home !== undefined) return { incident: home.incident, change: 'known', closed: [] }
    const closed: ClosedIncident[] = []
    let candidate: Tracked | undefined
    for (const tracked of related) {
      if (finding.time > this.#endOf(tracked)) closed.push(this.#close(tracked, now))
      else candidate ??= tracked
    }
    if (candidate === undefined) return this.#openFor(finding, now, closed)
    const known = candidate.revisions.has(finding.id) || counted(candidate.incident)
    this.#set(candidate, mergeFinding(candidate.incident, finding, known))
    remember(candidate.revisions, finding.id, finding.revision)
    return { incident: candidate.incident, change: 'updated', closed }
  }

  /** A lease acts for the incident until `until`. Returns the incident where this changed its state. */
  contain(id: string, lease: string, until: Instant): Incident | null {
    const tracked = this.#open.get(id)
    if (tracked === undefined) return null
    remember(tracked.leases, lease, Math.max(until, tracked.leases.get(lease) ?? 0))
    return this.#enter(tracked, 'contained')
  }

  /** A person released a lease: with none left, the incident is open again and waits for people. */
  release(lease: string): readonly Incident[] {
    const changed: Incident[] = []
    for (const tracked of this.#open.values()) {
      if (!tracked.leases.delete(lease) || tracked.leases.size > 0) continue
      const incident = this.#enter(tracked, 'open')
      if (incident !== null) changed.push(incident)
    }
    return changed
  }

  /** Closes what is over at `now`. */
  tick(now: Instant): readonly ClosedIncident[] {
    const over = [...this.#open.values()].filter((tracked) => now > this.#quietEnd(tracked))
    return over.map((tracked) => this.#close(tracked, now))
  }

  /** Takes in an incident from the log. */
  restore(incident: Incident, contained: boolean): void {
    if (incident.state === 'closed') {
      if (contained) this.#history.record(incident, incident.closedAt ?? incident.updatedAt)
      return
    }
    const revisions = new Map(incident.findings.map((id) => [id, -1]))
    this.#set({ incident, revisions, leases: new Map() }, incident)
  }

  /** Open incidents that share a subject with the finding, oldest first. */
  #related(finding: Finding): readonly Tracked[] {
    const subjects = subjectsOf(finding)
    if (subjects.length === 0) return [...this.#open.values()].filter((tracked) => tracked.revisions.has(finding.id))
    const found = new Set<Tracked>()
    for (const target of subjects) {
      for (const id of this.#byTarget.get(target) ?? []) {
        const tracked = this.#open.get(id)
        if (tracked !== undefined && belongs(tracked.incident, finding, target)) found.add(tracked)
      }
    }
    return [...found].sort((a, b) => a.incident.openedAt - b.incident.openedAt)
  }

  #openFor(finding: Finding, now: Instant, closed: ClosedIncident[]): Fold {
    if (this.#open.size >= this.#options.maxOpen) closed.push(this.#close(this.#quietest(), now))
    const id = this.#options.hash(`incident:${finding.id}:${finding.revision}`)
    const incident = openIncident(id, finding, this.#history.repetitions(subjectsOf(finding), now))
    this.#set({ incident, revisions: new Map([[finding.id, finding.revision]]), leases: new Map() }, incident)
    return { incident, change: 'opened', closed }
  }

  #set(tracked: Tracked, incident: Incident): void {
    const before = this.#open.get(incident.id)
    tracked.incident = incident
    this.#open.set(incident.id, tracked)
    for (const target of before?.incident.targets ?? []) if (!incident.targets.includes(target)) this.#unindex(target, incident.id)
    for (const target of incident.targets) {
      const ids = this.#byTarget.get(target)
      if (ids === undefined) this.#byTarget.set(target, new Set([incident.id]))
      else ids.add(incident.id)
    }
  }

  #close(tracked: Tracked, now: Instant): ClosedIncident {
    const incident: Incident = { ...tracked.incident, state: 'closed', closedAt: Math.max(now, tracked.incident.openedAt) }
    this.#open.delete(incident.id)
    for (const target of incident.targets) this.#unindex(target, incident.id)
    const contained = tracked.leases.size > 0
    if (contained) this.#history.record(incident, now)
    return { incident, contained }
  }

  #unindex(target: Target, id: string): void {
    const ids = this.#byTarget.get(target)
    ids?.delete(id)
    if (ids?.size === 0) this.#byTarget.delete(target)
  }

  #enter(tracked: Tracked, state: 'open' | 'contained'): Incident | null {
    if (tracked.incident.state === state) return null
    tracked.incident = { ...tracked.incident, state }
    return tracked.incident
  }

  /** After this, a finding is a new incident: the end of the containment where there is one, else of the quiet time. */
  #endOf(tracked: Tracked): Instant {
    return tracked.leases.size > 0 ? Math.max(...tracked.leases.values()) : this.#quietEnd(tracked)
  }

  /** After this, it closes by itself. */
  #quietEnd(tracked: Tracked): Instant {
    return Math.max(tracked.incident.updatedAt + this.#options.quietMs, ...tracked.leases.values())
  }

  #quietest(): Tracked {
    const order = (tracked: Tracked) => (tracked.leases.size > 0 ? Number.MAX_SAFE_INTEGER / 2 : 0) + tracked.incident.updatedAt
    return [...this.#open.values()].reduce((a, b) => (order(b) < order(a) ? b : a))
  }
}

/** Sets the newest entry of a bounded map; the oldest gives way. */
function remember<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key)
  map.set(key, value)
  const oldest = map.keys().next()
  if (map.size > maxTracked && oldest.done !== true) map.delete(oldest.value)
}
