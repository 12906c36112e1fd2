import type { ClosedIncident } from '../../responders/incidents/incidents.ts'
import { type Action, type Containment, type Incident, type Instant, leaseId } from '../../schemas/index.ts'
import type { Memory } from './memory.ts'
import type { ResponseMetrics } from './metrics.ts'
import type { ResponseWorkerOptions } from './options.ts'

/** Writes down what becomes of actions and incidents: the memory knows at once, and the log with the journal's next write. */
export class Notes {
  readonly #options: Pick<ResponseWorkerOptions, 'responders' | 'log'>
  readonly #metrics: ResponseMetrics
  readonly #memory: Memory

  constructor(options: Pick<ResponseWorkerOptions, 'responders' | 'log'>, metrics: ResponseMetrics, memory: Memory) {
    this.#options = options
    this.#metrics = metrics
    this.#memory = memory
  }

  action(action: Action): Action {
    const { ledger, journal } = this.#memory
    ledger.put(action)
    journal.action(action)
    this.#metrics.action(action.responder, action.state)
    const { id, incident, responder, target, state, note } = action
    this.#options.log.info({ action: id, incident, responder, target, state, note }, 'action')
    return action
  }

  incident(incident: Incident, contained = this.#memory.book.wasContained(incident.id)): void {
    const through = this.#memory.through.get(incident.id) ?? {}
    this.#memory.journal.incident({ incident, through, contained })
  }

  closed({ incident, contained }: ClosedIncident): void {
    this.incident(incident, contained)
    this.#memory.through.delete(incident.id)
  }

  /** That an incident is contained, by an action that was carried out now. */
  executed(action: Action, now: Instant): void {
    const { ledger, book } = this.#memory
    ledger.noteExecuted(now)
    if (action.decidedAt !== null) this.#metrics.executed(now - action.decidedAt)
    if (action.incident === null || action.effect === 'notify') return
    book.contain(action.incident, leaseId(action.target, action.responder), action.until)
    const incident = book.get(action.incident)
    if (incident !== undefined) this.incident(incident)
  }

  /** Somebody released a lease: what led to it is undone, except what cannot be. */
  released(lease: Containment): void {
    if (lease.state !== 'released' || lease.endedAt === null) return
    const note = `Released by ${lease.endedBy}.`
    for (const action of this.#memory.ledger.ofLease(lease.id)) {
      const lasts = this.#options.responders.find(({ id }) => id === action.responder)?.once === true
      if (action.state !== 'executed' || action.plannedAt > lease.endedAt || lasts) continue
      this.action({ ...action, state: 'reverted', note })
    }
    for (const incident of this.#memory.book.release(lease.id)) this.incident(incident)
  }
}
