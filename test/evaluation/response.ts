import type { View, ViewListener } from '../../bus/view.ts'
import type { Fingerprint } from '../../inference/port.ts'
import { Enforcement, type Standing, type Subject } from '../../inference/server/enforcement.ts'
import { admits, take } from '../../inference/server/throttle.ts'
import { digest } from '../../pipeline/response/digest.ts'
import { ActionLedger } from '../../pipeline/response/ledger.ts'
import type { LeaseRequest, ResponderPorts } from '../../responders/contract.ts'
import { GuardOptions, judge } from '../../responders/guard/guard.ts'
import { IncidentBook, incidentDefaults } from '../../responders/incidents/incidents.ts'
import { LeaseBook } from '../../responders/leases/book.ts'
import { decide, leaseLimits } from '../../responders/leases/lease.ts'
import { choose, planActions } from '../../responders/playbooks/choose.ts'
import type { Playbook } from '../../responders/playbooks/playbook.ts'
import { responders } from '../../responders/registry.ts'
import { latest } from '../../responders/responder.ts'
import { type Action, type Containment, type Finding, type Instant, isGap, leaseId } from '../../schemas/index.ts'

export interface ResponseOptions {
  readonly playbook: Playbook
  /** From the event that decided to the nodes' enforcing it, milliseconds of virtual time. */
  readonly delayMs: number
  /** Principals that the guard takes to be active: its limits on reach are shares of them. */
  readonly activePrincipals: number
}

/** What the gate says of a request. */
export type Verdict =
  | { readonly admitted: true; readonly hardening: Standing['hardening'] }
  | { readonly admitted: false; readonly status: 403 | 429; readonly retryAfterMs: number | null; readonly lease: string }

interface Pending {
  readonly visibleAt: Instant
  readonly lease: Containment
}

/**
 * The response worker's decisions without its log: the same incidents, playbook, guard, responders, leases and enforcement,
 * in virtual time. A lease is enforced `delayMs` after the event that decided it.
 */
export class Response {
  readonly #options: ResponseOptions
  readonly #guard = GuardOptions.parse({})
  readonly #incidents = new IncidentBook({ ...incidentDefaults, hash: digest })
  readonly #ledger = new ActionLedger(10_000)
  readonly #leases = new LeaseBook(10_000)
  readonly #view = new LeaseView()
  readonly #enforcement: Enforcement
  #pending: Pending[] = []
  #now: Instant = 0
  #held = 0

  constructor(options: ResponseOptions) {
    this.#options = options
    this.#enforcement = new Enforcement({
      containments: this.#view,
      node: 'evaluation',
      clock: () => this.#now,
      acknowledge: () => {},
      unenforceable: () => {},
      suspended: () => false,
    })
  }

  /** Actions that the guard kept for a person. */
  get waiting(): number {
    return this.#held
  }

  /** Time goes on: what was decided `delayMs` ago is enforced from here. */
  reach(now: Instant): void {
    this.#now = now
    this.#incidents.tick(now)
    if (this.#pending.length === 0) return
    const due = this.#pending.filter(({ visibleAt }) => visibleAt <= now)
    this.#pending = this.#pending.filter(({ visibleAt }) => visibleAt > now)
    for (const { lease } of due) this.#view.put(lease)
  }

  /** Folds, chooses, plans, judges and carries out; see `Response` in pipeline/response. */
  async consider(finding: Finding): Promise<void> {
    if (isGap(finding)) return
    const { incident } = this.#incidents.fold(finding, this.#now)
    const rule = choose(this.#options.playbook, finding, incident.repetitions)
    if (rule === null) return
    for (const action of planActions(this.#options.playbook, rule, finding, incident, this.#now, digest))
      if (this.#ledger.isOpen(action.id)) await this.#admit(action)
  }

  /** Takes from the caller's buckets where it is let in. */
  gate(subject: Subject, now: Instant): Verdict {
    const { denied, throttles, hardening } = this.#enforcement.standing(subject, now)
    if (denied !== undefined) return { admitted: false, status: 403, retryAfterMs: null, lease: denied }
    for (const { lease, bucket } of throttles) {
      const admission = admits(bucket, 1, now)
      if (!admission.ok) return { admitted: false, status: 429, retryAfterMs: Math.max(1_000, admission.retryMs), lease }
    }
    for (const { bucket } of throttles) take(bucket, 1, now)
    return { admitted: true, hardening }
  }

  /** The answer may be refused after all, for what the input lies near; as the node does, between the model and the answer. */
  around(subject: Pick<Subject, 'model' | 'principal'>, fingerprint: Fingerprint, now: Instant): Verdict | null {
    const limit = this.#enforcement.around(subject, [fingerprint], now)
    if (limit === undefined) return null
    const admission = admits(limit.bucket, 1, now)
    if (!admission.ok) return { admitted: false, status: 429, retryAfterMs: Math.max(1_000, admission.retryMs), lease: limit.lease }
    take(limit.bucket, 1, now)
    return null
  }

  async #admit(action: Action): Promise<void> {
    const verdict = judge(
      action,
      {
        now: this.#now,
        leases: this.#leases.list(),
        pending: [],
        inventory: { activePrincipals: this.#options.activePrincipals, pools: new Map() },
        recentActions: this.#ledger.recent(this.#now),
      },
      this.#guard,
    )
    if (verdict.decision !== 'allow') {
      this.#held++
      this.#ledger.put({ ...action, state: verdict.decision, note: verdict.reason })
      return
    }
    const responder = responders.find(({ id }) => id === action.responder)
    const outcome = await responder?.execute(action, this.#ports, AbortSignal.timeout(60_000))
    this.#ledger.put({ ...action, state: outcome?.ok === true ? 'executed' : 'failed' })
    if (outcome?.ok !== true || action.incident === null) return
    this.#ledger.noteExecuted(this.#now)
    this.#incidents.contain(action.incident, leaseId(action.target, action.responder), action.until)
  }

  readonly #ports: ResponderPorts = {
    leases: {
      grant: async (request) => this.#grant(request),
      release: async () => null,
    },
    // The owner's successor key is not the attacker's to claim; until the old one dies the other leases hold.
    keys: { rotate: async () => [] },
    models: { lastGood: async () => null },
  }

  #grant(request: LeaseRequest): Containment {
    const id = leaseId(request.target, request.action)
    const strongest = responders.find((responder) => responder.id === request.action)?.strongest ?? latest
    const context = { now: this.#now, active: this.#leases.active, limits: leaseLimits, strongest }
    for (const lease of decide({ kind: 'grant', request, person: false }, this.#leases.get(id) ?? null, context).revisions) {
      this.#leases.apply(lease)
      this.#pending.push({ visibleAt: this.#now + this.#options.delayMs, lease })
    }
    const held = this.#leases.get(id)
    if (held === undefined) throw new Error(`${id} was not granted`)
    return held
  }
}

/** Leases as a node's view of their topic shows them. */
class LeaseView implements View<Containment> {
  readonly #leases = new Map<string, Containment>()
  readonly #listeners = new Set<ViewListener<Containment>>()

  put(lease: Containment): void {
    this.#leases.set(lease.id, lease)
    for (const listener of this.#listeners) listener(lease.id, lease, null)
  }

  get(key: string): Containment | undefined {
    return this.#leases.get(key)
  }

  values(): IterableIterator<Containment> {
    return this.#leases.values()
  }

  get size(): number {
    return this.#leases.size
  }

  onChange(listener: ViewListener<Containment>): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  staleMs(): number {
    return 0
  }

  async reached(): Promise<void> {}

  async close(): Promise<void> {}
}
