import { randomUUID } from 'node:crypto'
import type { Batch, BusRecord, PartitionControl, Position } from '../../bus/port.ts'
import { type ContainmentRequest, planRequest } from '../../responders/containment-request.ts'
import { ResponderError } from '../../responders/errors.ts'
import { judge, type Situation } from '../../responders/guard/guard.ts'
import { holds } from '../../responders/leases/lease.ts'
import { choose, planActions } from '../../responders/playbooks/choose.ts'
import type { ContainmentResponder } from '../../responders/responder.ts'
import {
  type Action,
  type Containment,
  CordonError,
  type Finding,
  type Incident,
  type Instant,
  isGap,
  leaseId,
} from '../../schemas/index.ts'
import { digest } from './digest.ts'
import { type ExecutionOptions, perform } from './execution.ts'
import { personPrefix } from './lease-keeper.ts'
import { emptyMemory, type Memory } from './memory.ts'
import { ResponseMetrics } from './metrics.ts'
import { Notes } from './notes.ts'
import type { ResponseWorkerOptions, ResponseWorkerState } from './options.ts'
import { readFinding } from './reader.ts'
import { restore } from './restore.ts'
import { Turn } from './turn.ts'

/** A person's order, by which it is told when it is delivered again. */
export interface Ordered {
  /** Id of the action that it leads to. */
  readonly action: string
  readonly at: Instant
}

/**
 * The worker's inside. Everything that changes incidents or actions runs in turn. Leases go to the log first, since
 * they are what contains; incidents and actions follow in one write, then the offset. A crash in between is repaired
 * by the redelivered finding: it leads to the same ids, and what was done is not done again. Whatever changes
 * something throws ResponderError `NOT_IN_CHARGE` while another process is in charge.
 */
export class Response {
  readonly #options: ResponseWorkerOptions
  readonly #execution: ExecutionOptions
  #memory: Memory
  #notes: Notes
  /** Whether the memory is of this charge; until then nothing is decided on it. */
  #remembers = false
  readonly #turn = new Turn()
  readonly #closing = new AbortController()
  readonly #metrics: ResponseMetrics
  readonly #unsubscribe: () => void
  #findings = 0
  #lastFindingAt: Instant | null = null
  #trouble: ResponseWorkerState['trouble'] = null

  /** It knows nothing until `remember`. */
  constructor(options: ResponseWorkerOptions, execution: ExecutionOptions) {
    this.#options = options
    this.#execution = execution
    this.#memory = emptyMemory(options)
    this.#metrics = new ResponseMetrics(options.registry, {
      incidents: () => this.#memory.book.size,
      leases: () => this.#activeLeases(),
      waiting: () => this.waiting().length,
    })
    this.#notes = new Notes(options, this.#metrics, this.#memory)
    options.charge.onDrop(() => {
      this.#remembers = false
    })
    this.#unsubscribe = options.ports.leases.onChange((lease) => {
      if (lease.state !== 'released' || !this.inCharge) return
      this.#inTurn(async () => this.#notes.released(lease)).catch((error: unknown) => this.noteTrouble(error))
    })
  }

  get inCharge(): boolean {
    return this.#remembers && this.#options.charge.held
  }

  /** Takes charge, with the memory rebuilt from all that was written before. Resolves with where the term begins on `outcomes`. */
  async takeCharge(): Promise<Position> {
    const { bus, log, clock, ports, charge } = this.#options
    this.#remembers = false
    const { outcomes } = await charge.take()
    const term = charge.term()
    await this.#turn.run(async () => {
      const memory = emptyMemory(this.#options)
      await restore({ bus, log, now: clock(), incidents: charge.incidents, risks: charge.risks }, memory)
      if (charge.term() !== term) throw notInCharge()
      this.#memory = memory
      this.#notes = new Notes(this.#options, this.#metrics, memory)
      this.#remembers = true
    })
    await this.#inTurn(async () => {
      for (const lease of ports.leases.list()) this.#notes.released(lease)
    })
    return outcomes
  }

  handle(batch: Batch, control: PartitionControl): Promise<void> {
    const next = (batch.records.at(-1)?.offset ?? -1) + 1
    return this.#inTurn(
      async () => {
        const read: [Finding, BusRecord][] = []
        for (const record of batch.records) {
          const finding = await readFinding(record, this.#options)
          if (finding !== null) read.push([finding, record])
        }
        // All of them are over before the turn is: none may go on where another batch, or memory, is at work.
        const done = await Promise.allSettled(read.flatMap(([finding, record]) => this.#consider(finding, record)))
        for (const one of done) if (one.status === 'rejected') throw one.reason
      },
      () => control.commit(next),
    )
  }

  /** @param at when the person said so; the same again leads to the same lease */
  approve(id: string, by: string, at: Instant = this.#options.clock()): Promise<Action | null> {
    return this.#inTurn(async () => {
      const waiting = this.#waitingAction(id)
      if (waiting === null) return null
      // A person decides now: the effect lasts as long as was planned, from now.
      const until = at + (waiting.until - waiting.plannedAt)
      await this.#carryOut({ ...waiting, plannedAt: at, until, decidedAt: null, note: approvedBy(by) })
      return this.#memory.ledger.get(id) ?? null
    })
  }

  decline(id: string, by: string): Promise<Action | null> {
    return this.#inTurn(async () => {
      const waiting = this.#waitingAction(id)
      return waiting === null ? null : this.#notes.action({ ...waiting, state: 'would-have', note: `Declined by ${by}.` })
    })
  }

  contain(request: ContainmentRequest, ordered?: Ordered): Promise<Containment> {
    return this.#inTurn(async () => {
      const { responders, clock, ports } = this.#options
      const { action: id, at } = ordered ?? { action: digest(randomUUID()), at: clock() }
      const action = planRequest(request, responders, id, at)
      if (this.#memory.ledger.isOpen(id)) await this.#carryOut(action)
      const done = this.#memory.ledger.get(action.id)
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
      const action = this.#memory.ledger.ofLease(id).findLast(({ state }) => state === 'executed')
      const responder = responders.find((candidate) => candidate.id === held.action)
      if (action === undefined || responder?.revert === undefined) return ports.leases.release(id, owner)
      await responder.revert({ ...action, owner }, ports, this.#closing.signal)
      return ports.leases.get(id) ?? null
    })
    // The keeper has told us by now; what follows from it is on the log when this resolves.
    await this.#turn.idle()
    return lease
  }

  /** As it stands; undefined where none of that id is known. */
  action(id: string): Action | undefined {
    return this.#memory.ledger.get(id)
  }

  tick(): Promise<void> {
    return this.#inTurn(async () => {
      const now = this.#options.clock()
      for (const closed of this.#memory.book.tick(now)) this.#notes.closed(closed)
      for (const principal of this.#memory.risks.sweep(now)) this.#memory.journal.forgetRisk(principal)
    })
  }

  /** What runs may finish within the time of one attempt; after that it is left to the next start. */
  async close(leave: () => Promise<void>): Promise<void> {
    const abort = () => this.#closing.abort(new CordonError('CLOSING', 'The response worker is closing.'))
    const timer = setTimeout(abort, this.#execution.timeoutMs)
    // While still in charge, so that what runs can be written.
    await this.#turn.idle()
    await leave()
    await this.#turn.idle()
    clearTimeout(timer)
    abort()
    this.#unsubscribe()
  }

  incidents(): readonly Incident[] {
    return this.#memory.book.list()
  }

  actionsOf(incident: string): readonly Action[] {
    return this.#memory.ledger.ofIncident(incident)
  }

  waiting(): readonly Action[] {
    return this.#memory.ledger.inState('awaiting-approval')
  }

  state(): Omit<ResponseWorkerState, 'assignments'> {
    return {
      incidents: this.#memory.book.size,
      leases: this.#activeLeases(),
      waiting: this.waiting().length,
      findings: this.#findings,
      lastFindingAt: this.#lastFindingAt,
      trouble: this.#trouble,
      inCharge: this.inCharge,
    }
  }

  noteTrouble(error: unknown): void {
    if (this.#closing.signal.aborted || isNotInCharge(error)) return
    this.#trouble = { at: this.#options.clock(), message: error instanceof Error ? error.message : String(error) }
    this.#options.log.warn({ err: error }, 'the response worker failed and tries again')
  }

  /** Runs in turn, then writes what changed, then `after`. */
  #inTurn<T>(work: () => Promise<T>, after?: () => Promise<void>): Promise<T> {
    return this.#turn.run(async () => {
      if (!this.inCharge) throw notInCharge()
      const result = await work()
      await this.#memory.journal.flush(this.#options.clock())
      await after?.()
      this.#trouble = null
      return result
    })
  }

  /** Folds, chooses, plans and judges at once; what comes back is the carrying out. */
  #consider(finding: Finding, { partition, offset }: BusRecord): readonly Promise<void>[] {
    const now = this.#options.clock()
    this.#findings++
    this.#lastFindingAt = Math.max(this.#lastFindingAt ?? 0, finding.time)
    this.#metrics.finding()
    // Gaps can be many, and no incident may have to make room for one. What only informs is nothing that anybody is to see to.
    if (isGap(finding) || finding.severity === 'info') return []
    for (const risk of this.#memory.risks.note(finding, now)) this.#memory.journal.risk(risk)
    const { incident, change, closed } = this.#memory.book.fold(finding, now, ({ id }) => this.#throughOf(id, partition) >= offset)
    for (const one of closed) this.#notes.closed(one)
    if (change !== 'known') {
      const newest = Math.max(offset, this.#throughOf(incident.id, partition))
      this.#memory.through.set(incident.id, { ...this.#memory.through.get(incident.id), [partition]: newest })
      this.#notes.incident(incident)
    }
    const { playbook } = this.#options
    const rule = choose(playbook, finding, incident.repetitions)
    if (rule === null) return []
    const planned = planActions(playbook, rule, finding, incident, now, digest)
    return planned.filter(({ id }) => this.#memory.ledger.isOpen(id)).map((action) => this.#admit(action, now))
  }

  #throughOf(incident: string, partition: number): number {
    return this.#memory.through.get(incident)?.[partition] ?? -1
  }

  async #admit(action: Action, now: Instant): Promise<void> {
    const { ports, inventory, guard } = this.#options
    const situation: Situation = {
      now,
      leases: ports.leases.list(),
      pending: this.#memory.ledger.running,
      inventory: inventory(),
      recentActions: this.#memory.ledger.recent(now),
    }
    const verdict = judge(action, situation, guard)
    if (verdict.decision === 'allow') await this.#carryOut(action)
    else this.#notes.action({ ...action, state: verdict.decision, note: verdict.reason })
  }

  /** Rejects only when the worker closes or is replaced: the finding is delivered again then. */
  async #carryOut(action: Action): Promise<void> {
    const { ports, clock } = this.#options
    this.#memory.ledger.begin(action)
    try {
      const outcome = await perform(action, this.#responder(action), ports, this.#closing.signal, this.#execution)
      const note = [action.note, outcome.note].filter((part) => part !== '').join(' ')
      if (outcome.ok) this.#notes.executed(action, clock())
      this.#notes.action({ ...action, state: outcome.ok ? 'executed' : 'failed', note })
    } finally {
      this.#memory.ledger.end(action.id)
    }
  }

  #waitingAction(id: string): Action | null {
    const action = this.#memory.ledger.get(id)
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

/** How the note of an action begins that a person approved. */
export function approvedBy(person: string): string {
  return `Approved by ${person}.`
}

function notInCharge(): ResponderError {
  return new ResponderError('NOT_IN_CHARGE', 'This process stands by: another one decides. Order it with a command.')
}

export function isNotInCharge(error: unknown): boolean {
  return error instanceof ResponderError && error.code === 'NOT_IN_CHARGE'
}
