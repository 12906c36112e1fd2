import { createHash } from 'node:crypto'
import type { LeaseRequest, ResponderPorts } from '../../responders/contract.ts'
import type { Inventory } from '../../responders/guard/inventory.ts'
import { LeaseBook } from '../../responders/leases/book.ts'
import { decide, leaseLimits } from '../../responders/leases/lease.ts'
import { responders } from '../../responders/registry.ts'
import type { Action, Containment, Finding, Incident, Instant } from '../../schemas/index.ts'
import { leaseId } from '../../schemas/index.ts'

/** 2026-01-01T00:00:00Z. Every time in these tests is this plus something. */
export const start: Instant = 1_767_225_600_000
export const second = 1_000
export const minute = 60 * second
export const hour = 60 * minute

export function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}

/** A certain near-duplicate finding about `mallory` on `digits`, but for what is given. */
export function finding(changes: Partial<Finding> = {}): Finding {
  const time = changes.time ?? start
  return {
    id: hash(`finding ${changes.detector ?? ''} ${changes.principals?.join() ?? ''} ${changes.workload ?? ''}`),
    revision: 0,
    time,
    detector: 'near-duplicate-probing',
    version: 1,
    scope: 'digits',
    severity: 'high',
    confidence: 0.95,
    threats: ['AML.T0043'],
    principals: ['mallory'],
    organizations: [],
    model: 'digits',
    workload: null,
    pool: null,
    title: 'Near-duplicate queries',
    evidence: {},
    window: { from: time - minute, until: time },
    eventsSeen: 12,
    decidedBy: null,
    ...changes,
  }
}

/** An egress finding: nobody is named but the workload, in a pool. */
export function egress(changes: Partial<Finding> = {}): Finding {
  return finding({ detector: 'egress-anomaly', principals: [], model: null, workload: 'worker-1', pool: 'b', title: 'Egress', ...changes })
}

export function incident(changes: Partial<Incident> = {}): Incident {
  return {
    id: hash('incident'),
    state: 'open',
    title: 'Near-duplicate queries',
    severity: 'high',
    confidence: 0.95,
    threats: [],
    detectors: ['near-duplicate-probing'],
    principals: ['mallory'],
    organizations: [],
    models: ['digits'],
    workloads: ['worker-1'],
    pools: ['b'],
    targets: ['principal:mallory'],
    findings: [hash('finding')],
    findingCount: 1,
    openedAt: start,
    updatedAt: start,
    repetitions: 0,
    closedAt: null,
    ...changes,
  }
}

export function lease(changes: Partial<Containment> = {}): Containment {
  const { target = 'principal:mallory', action = 'throttle-principal' } = changes
  return {
    id: leaseId(target, action),
    target,
    action,
    parameters: { requests: 1, windowMs: minute },
    reason: 'Near-duplicate queries',
    owner: 'playbook:default/probing-certain',
    incident: hash('incident'),
    from: start,
    until: start + 10 * minute,
    state: 'active',
    revision: 0,
    endedAt: null,
    endedBy: null,
    decidedAt: start,
    ...changes,
  }
}

export function action(changes: Partial<Action> = {}): Action {
  return {
    id: hash(`action ${changes.target ?? ''}`),
    incident: hash('incident'),
    responder: 'throttle-principal',
    effect: 'restrict',
    target: 'principal:mallory',
    parameters: { requests: 1, windowMs: minute },
    reason: 'Near-duplicate queries',
    owner: 'playbook:default/probing-certain',
    state: 'planned',
    plannedAt: start,
    until: start + 10 * minute,
    note: '',
    decidedAt: start,
    ...changes,
  }
}

export function inventory(changes: Partial<Inventory> = {}): Inventory {
  const pools = new Map([
    ['a', ['digits']],
    ['b', ['digits']],
  ])
  return { activePrincipals: 100, pools, ...changes }
}

/** Ports over a real lease book, and lists of what was asked of the others. */
export class FakePorts implements ResponderPorts {
  readonly book = new LeaseBook(1_000)
  /** Revisions in the order that they were written. */
  readonly revisions: Containment[] = []
  readonly rotations: { principal: string; oldDiesAt: Instant }[] = []
  now: Instant = start
  lastGood: string | null = '1'

  readonly leases = {
    grant: async (request: LeaseRequest): Promise<Containment> => {
      const id = leaseId(request.target, request.action)
      this.#apply(id, { kind: 'grant', request, person: request.owner.startsWith('person:') }, request.action)
      const held = this.book.get(id)
      if (held === undefined) throw new Error('The lease was refused.')
      return held
    },
    release: async (id: string, by: string): Promise<Containment | null> => {
      this.#apply(id, { kind: 'release', by }, '')
      return this.book.get(id) ?? null
    },
  }

  readonly keys = {
    rotate: async (principal: string, oldDiesAt: Instant): Promise<readonly string[]> => {
      const asked = this.rotations.some((rotation) => rotation.principal === principal && rotation.oldDiesAt === oldDiesAt)
      if (!asked) this.rotations.push({ principal, oldDiesAt })
      return ['successor']
    },
  }

  readonly models = { lastGood: async (): Promise<string | null> => this.lastGood }

  #apply(id: string, command: Parameters<typeof decide>[0], actionId: string): void {
    const strongest = responders.find((responder) => responder.id === actionId)?.strongest ?? ((_, asked) => asked)
    const context = { now: this.now, active: this.book.active, limits: leaseLimits, strongest }
    for (const revision of decide(command, this.book.get(id) ?? null, context).revisions) {
      this.book.apply(revision)
      this.revisions.push(revision)
    }
  }
}
