import { randomUUID } from 'node:crypto'
import type { Batch, BatchControl, BusRecord } from '../../bus/port.ts'
import { type ContainmentRequest, planRequest } from '../../responders/containment-request.ts'
import { ResponderError } from '../../responders/errors.ts'
import { judge, type Situation } from '../../responders/guard/guard.ts'
import { type ClosedIncident, IncidentBook, incidentDefaults } from '../../responders/incidents/incidents.ts'
import { holds } from '../../responders/leases/lease.ts'
import { choose, planActions } from '../../responders/playbooks/choose.ts'
import type { ContainmentResponder } from '../../responders/responder.ts'
import { type Action, type Containment, CordonError, type Finding, type Incident, type Instant, leaseId } from '../../schemas/index.ts'
import type { ResponseWorkerOptions, ResponseWorkerState } from '../response-worker.ts'
import { digest } from './digest.ts'
import { type ExecutionOptions, perform } from './execution.ts'
import { Journal, type Through } from './journal.ts'
import { personPrefix } from './lease-keeper.ts'
import { ActionLedger } from './ledger.ts'
import { ResponseMetrics } from './metrics.ts'
import { readFinding } from './reader.ts'
import { restore } from './restore.ts'
import { Turn } from './turn.ts'

const maxActions = 20_000
const maxClosedIncidents = 5_000

/**
 * The worker's inside. Everything that changes incidents or actions runs in turn. Leases go to the log first, since
 * they are what contains; incidents and actions follow in one write, then the offset. A crash in between is repaired
 * by the redelivered finding: it leads to the same ids, and what was done is not done again.
 */
export class Response {
  readonly #options: ResponseWorkerOptions
  readonly #execution: ExecutionOptions
  readonly #book: IncidentBook
  readonly #ledger = new ActionLedger(maxActions)
  readonly #journal: Journal
  readonly #through = new Map<string, Through>()
  readonly #turn = new Turn()
  readonly #closing = new AbortController()
  readonly #metrics: ResponseMetrics
  readonly #unsubscribe: () => void
  #findings = 0
  #lastFindingAt: Instant | null = null
  #trouble: ResponseWorkerState['trouble'] = null

  static async restored(options: ResponseWorkerOptions, execution: ExecutionOptions): Promise<Response> {
    const response = new Response(options, execution)
    const targets = { book: response.#book, ledger: response.#ledger, journal: response.#journal, through: response.#through }
    await restore(options.bus, options.log, targets)
    for (const lease of options.ports.leases.list()) response.#noteEnded(lease)
    return response
  }

  private constructor(options: ResponseWorkerOptions, execution: ExecutionOptions) {
    this.#options = options
    this.#execution = execution
    this.#book = new IncidentBook({ ...incidentDefaults, quietMs: options.quietMs ?? incidentDefaults.quietMs, hash: digest })
    this.#journal = new Journal(options.bus, options.source, maxClosedIncidents)
    this.#metrics = new ResponseMetrics(options.registry, {
      incidents: () => this.#book.size,
      leases: () => this.#activeLeases(),
      waiting: () => this.waiting().length,
    })
    this.#unsubscribe = options.ports.leases.onChange((lease) => {
      if (lease.state === 'released') this.#inTurn(async () => this.#noteEnded(lease)).catch((error: unknown) => this.noteTrouble(error))
    })
  }

  handle(batch: Batch, control: BatchControl): Promise<void> {
    const next = (batch.records.at(-1)?.offset ?? -1) + 1
    return this.#inTurn(
      async () => {
        const read: [Finding, BusRecord][] = []
        for (const record of batch.records) {
          const finding = await readFinding(record, this.#options)
          if (finding !== null) read.push([finding, record])
        }
        await Promise.all(read.flatMap(([finding, record]) => this.#consider(finding, record)))
      },
      () => control.commit(next),
    )
  }

  approve(id: string, by: string): Promise<Action | null> {
    return this.#inTurn(async () => {
      const waiting = this.#waitingAction(id)
      if (waiting === null) return null
      const now = this.#options.clock()
      // A person decides now: the effect lasts as long as was planned, from now.
      const until = now + (waiting.until - waiting.plannedAt)
      await this.#carryOut({ ...waiting, plannedAt: now, until, decidedAt: null, note: `Approved by ${by}.` })
      return this.#ledger.get(id) ?? null
    })
  }

  decline(id: string, by: string): Promise<Action | null> {
    return this.#inTurn(async () => {
      const waiting = this.#waitingAction(id)
      return waiting === null ? null : this.#record({ ...waiting, state: 'would-have', note: `Declined by ${by}.` })
    })
  }

  contain(request: ContainmentRequest): Promise<Containment> {
    return this.#inTurn(async () => {
      const { responders, clock, ports } = this.#options
      const action = planRequest(request, responders, digest(randomUUID()), clock())
      await this.#carryOut(action)
      const done = this.#ledger.get(action.id)
      const lease = ports.leases.get(leaseId(action.target, action.responder))
      if (done?.state !== 'executed' || lease === undefined) {
        throw new ResponderError('LEASE_REFUSED', `${action.responder} on ${action.target} could not be done. ${done?.note ?? ''}`)
      }
      return lease
    })
  }

  async release(id: string, by: string): Promise<Containment | null> {
    const owner = (personPrefix + by).slice(0, 160)
    const { ports, responders } = this.#options
    const lease = await this.#inTurn(async () => {
      const held = ports.leases.get(id)
      if (held === undefined) return null
      const action = this.#ledger.ofLease(id).findLast(({ state }) => state === 'executed')
      const responder = responders.find((candidate) => candidate.id === held.action)
      if (action === undefined || responder?.revert === undefined) return ports.leases.release(id, owner)
      await responder.revert({ ...action, owner }, ports, this.#closing.signal)
      return ports.leases.get(id) ?? null
    })
    // The keeper has told us by now; what follows from it is on the log when this resolves.
    await this.#turn.idle()
    return lease
  }

  tick(): Promise<void> {
    return this.#inTurn(async () => {
      const now = this.#options.clock()
      for (const closed of this.#book.tick(now)) this.#noteClosed(closed)
    })
  }

  /** What runs may finish within the time of one attempt; after that it is left to the next start. */
  async close(leave: () => Promise<void>): Promise<void> {
    const abort = () => this.#closing.abort(new CordonError('CLOSING', 'The response worker is closing.'))
    const timer = setTimeout(abort, this.#execution.timeoutMs)
    await leave()
    await this.#turn.idle()
    clearTimeout(timer)
    abort()
    this.#unsubscribe()
  }

  incidents(): readonly Incident[] {
    return this.#book.list()
  }

  actionsOf(incident: string): readonly Action[] {
    return this.#ledger.ofIncident(incident)
  }

  waiting(): readonly Action[] {
    return this.#ledger.inState('awaiting-approval')
  }

  state(): ResponseWorkerState {
    return {
      incidents: this.#book.size,
      leases: this.#activeLeases(),
      waiting: this.waiting().length,
      findings: this.#findings,
      lastFindingAt: this.#lastFindingAt,
      trouble: this.#trouble,
    }
  }

  noteTrouble(error: unknown): void {
    if (this.#closing.signal.aborted) return
    this.#trouble = { at: this.#options.clock(), message: error instanceof Error ? error.message : String(error) }
    this.#options.log.warn({ err: error }, 'the response worker failed and tries again')
  }

  /** Runs in turn, then writes what changed, then `after`. */
  #inTurn<T>(work: () => Promise<T>, after?: () => Promise<void>): Promise<T> {
    return this.#turn.run(async () => {
      const result = await work()
      await this.#journal.flush(this.#options.clock())
      await after?.()
      this.#trouble = null
      return result
    })
  }

  /** Folds, chooses, plans and judges at once; what comes back is the carrying out. */
  #consider(finding: Finding, record: BusRecord): readonly Promise<void>[] {
    const now = this.#options.clock()
    const { incident, change, closed } = this.#book.fold(finding, now, (held) => this.#counts(held, record))
    for (const one of closed) this.#noteClosed(one)
    if (change !== 'known') {
      const through = this.#through.get(incident.id)
      const offset = Math.max(record.offset, through?.[record.partition] ?? -1)
      this.#through.set(incident.id, { ...through, [record.partition]: offset })
      this.#noteIncident(incident)
    }
    this.#findings++
    this.#lastFindingAt = Math.max(this.#lastFindingAt ?? 0, finding.time)
    this.#metrics.finding()
    const { playbook } = this.#options
    const rule = choose(playbook, finding, incident.repetitions)
    if (rule === null) return []
    const planned = planActions(playbook, rule, finding, incident, now, digest)
    return planned.filter(({ id }) => this.#ledger.isOpen(id)).map((action) => this.#admit(action, now))
  }

  #counts(incident: Incident, { partition, offset }: BusRecord): boolean {
    return (this.#through.get(incident.id)?.[partition] ?? -1) >= offset
  }

  async #admit(action: Action, now: Instant): Promise<void> {
    const { ports, inventory, guard } = this.#options
    const situation: Situation = {
      now,
      leases: ports.leases.list(),
      pending: this.#ledger.running,
      inventory: inventory(),
      recentActions: this.#ledger.recent(now),
    }
    const verdict = judge(action, situation, guard)
    if (verdict.decision === 'allow') await this.#carryOut(action)
    else this.#record({ ...action, state: verdict.decision, note: verdict.reason })
  }

  /** Rejects only when the worker closes: the finding is delivered again then. */
  async #carryOut(action: Action): Promise<void> {
    const { ports, clock } = this.#options
    this.#ledger.begin(action)
    try {
      const outcome = await perform(action, this.#responder(action), ports, this.#closing.signal, this.#execution)
      const note = [action.note, outcome.note].filter((part) => part !== '').join(' ')
      if (outcome.ok) this.#noteExecuted(action, clock())
      this.#record({ ...action, state: outcome.ok ? 'executed' : 'failed', note })
    } finally {
      this.#ledger.end(action.id)
    }
  }

  #noteExecuted(action: Action, now: Instant): void {
    this.#ledger.noteExecuted(now)
    if (action.decidedAt !== null) this.#metrics.executed(now - action.decidedAt)
    if (action.incident === null || action.effect === 'notify') return
    this.#book.contain(action.incident, leaseId(action.target, action.responder), action.until)
    const incident = this.#book.get(action.incident)
    if (incident !== undefined) this.#noteIncident(incident)
  }

  #record(action: Action): Action {
    this.#ledger.put(action)
    this.#journal.action(action)
    this.#metrics.action(action.responder, action.state)
    const { id, incident, responder, target, state, note } = action
    this.#options.log.info({ action: id, incident, responder, target, state, note }, 'action')
    return action
  }

  #noteIncident(incident: Incident): void {
    const contained = this.#book.wasContained(incident.id)
    this.#journal.incident({ incident, through: this.#through.get(incident.id) ?? {}, contained })
  }

  #noteClosed({ incident, contained }: ClosedIncident): void {
    this.#journal.incident({ incident, through: this.#through.get(incident.id) ?? {}, contained })
    this.#through.delete(incident.id)
  }

  /** Somebody released a lease: what led to it is undone, except what cannot be. */
  #noteEnded(lease: Containment): void {
    if (lease.state !== 'released' || lease.endedAt === null) return
    const note = `Released by ${lease.endedBy}.`
    for (const action of this.#ledger.ofLease(lease.id)) {
      const lasts = this.#options.responders.find(({ id }) => id === action.responder)?.once === true
      if (action.state !== 'executed' || action.plannedAt > lease.endedAt || lasts) continue
      this.#record({ ...action, state: 'reverted', note })
    }
    for (const incident of this.#book.release(lease.id)) this.#noteIncident(incident)
  }

  #waitingAction(id: string): Action | null {
    const action = this.#ledger.get(id)
    return action?.state === 'awaiting-approval' ? action : null
  }

  #responder(action: Action): ContainmentResponder {
    const responder = this.#options.responders.find(({ id }) => id === action.responder)
    if (responder === undefined) throw new ResponderError('RESPONDER_UNKNOWN', `No responder is called ${action.responder}.`)
    return responder
  }

  #activeLeases(): number {
    const now = this.#options.clock()
    return this.#options.ports.leases.list().filter((lease) => holds(lease, now)).length
  }
}
