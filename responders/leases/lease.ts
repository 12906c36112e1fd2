import type { Containment, Instant, Parameters } from '../../schemas/index.ts'
import { leaseId } from '../../schemas/index.ts'
import type { LeaseRequest } from '../contract.ts'

const hour = 60 * 60 * 1_000

export interface LeaseLimits {
  /** Longest time a lease may still have to run, milliseconds. A longer wish is cut to it. */
  readonly maxDurationMs: number
  /** Leases active at once; a grant of one more is refused. Extending one that stands is not. */
  readonly maxActive: number
}

export const leaseLimits: LeaseLimits = { maxDurationMs: 24 * hour, maxActive: 10_000 }

export type LeaseCommand =
  /** A machine's grant extends and strengthens what stands; a person's replaces it. */
  | { readonly kind: 'grant'; readonly request: LeaseRequest; readonly person: boolean }
  | { readonly kind: 'extend'; readonly until: Instant; readonly by: string }
  | { readonly kind: 'release'; readonly by: string }
  | { readonly kind: 'expire' }

type LeaseRefusal =
  | 'unchanged' // what stands is already as strong and as long
  | 'decided' // this very decision was granted before, and its lease has ended since
  | 'past' // it would end before it began
  | 'full'
  | 'not-active'
  | 'not-due'

export interface LeaseDecision {
  /** Revisions to append, in order; empty when nothing changes. */
  readonly revisions: readonly Containment[]
  readonly refused: LeaseRefusal | null
}

export interface LeaseContext {
  readonly now: Instant
  /** Active leases in the book, whatever their target. */
  readonly active: number
  readonly limits: LeaseLimits
  /** The stronger of two settings of this action. */
  readonly strongest: (held: Parameters, asked: Parameters) => Parameters
}

/** What a command does to a lease, as new revisions of it. Pure; the states are none, active, released and expired. */
export function decide(command: LeaseCommand, lease: Containment | null, context: LeaseContext): LeaseDecision {
  switch (command.kind) {
    case 'grant':
      return grant(command.request, command.person, lease, context)
    case 'extend':
      return extend(command.until, command.by, lease, context)
    case 'release':
      return release(command.by, lease, context.now)
    case 'expire':
      return expire(lease, context.now)
  }
}

/** The lease after a revision that was read or written: the highest stands, whatever the order of arrival, and of equal ones the first. */
export function evolve(lease: Containment | null, revision: Containment): Containment {
  return lease !== null && lease.revision >= revision.revision ? lease : revision
}

/** Whether it contains at `now`: a lease whose time is up does not, even where nobody has marked it yet. */
export function holds(lease: Containment | null | undefined, now: Instant): lease is Containment {
  return lease !== null && lease !== undefined && lease.state === 'active' && lease.until > now
}

function sameParameters(a: Parameters, b: Parameters): boolean {
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key])
}

function grant(request: LeaseRequest, person: boolean, lease: Containment | null, context: LeaseContext): LeaseDecision {
  const { now, limits } = context
  const until = Math.min(request.until, now + limits.maxDurationMs)
  if (until <= now) return refuse('past')
  if (holds(lease, now)) return renew(request, person, lease, until, context)
  if (lease !== null && isSameDecision(lease, request)) return { ...expire(lease, now), refused: 'decided' }
  const ended = lease === null ? [] : expire(lease, now).revisions
  // A lease that ran out frees its place in the same step.
  if (context.active - ended.length >= limits.maxActive) return { revisions: ended, refused: 'full' }
  const last = ended[0] ?? lease
  const fresh: Containment = {
    id: leaseId(request.target, request.action),
    ...settled(request),
    target: request.target,
    action: request.action,
    parameters: request.parameters,
    from: now,
    until,
    state: 'active',
    revision: last === null ? 0 : last.revision + 1,
    endedAt: null,
    endedBy: null,
  }
  return { revisions: [...ended, fresh], refused: null }
}

function renew(request: LeaseRequest, person: boolean, lease: Containment, until: Instant, context: LeaseContext): LeaseDecision {
  const parameters = person ? request.parameters : context.strongest(lease.parameters, request.parameters)
  // Only a person shortens or weakens: a late, weaker machine decision must not undo an earlier, stronger one.
  const end = person ? until : Math.max(lease.until, until)
  if (end === lease.until && sameParameters(parameters, lease.parameters)) return refuse('unchanged')
  // A redelivered decision is planned anew with a later clock. It has been granted: it does not extend.
  if (!person && isSameDecision(lease, request) && sameParameters(parameters, lease.parameters)) return refuse('unchanged')
  return change(lease, { ...settled(request), parameters, until: end })
}

function extend(until: Instant, by: string, lease: Containment | null, context: LeaseContext): LeaseDecision {
  if (!holds(lease, context.now)) return refuse('not-active')
  const end = Math.min(until, context.now + context.limits.maxDurationMs)
  if (end <= lease.until) return refuse('unchanged')
  return change(lease, { until: end, owner: by })
}

function release(by: string, lease: Containment | null, now: Instant): LeaseDecision {
  if (!holds(lease, now)) return { ...expire(lease, now), refused: 'not-active' }
  return change(lease, { state: 'released', endedAt: now, endedBy: by })
}

function expire(lease: Containment | null, now: Instant): LeaseDecision {
  if (lease === null || lease.state !== 'active') return refuse('not-active')
  if (lease.until > now) return refuse('not-due')
  return change(lease, { state: 'expired', endedAt: lease.until, endedBy: 'expiry' })
}

function isSameDecision(lease: Containment, request: LeaseRequest): boolean {
  return (
    request.incident !== null && request.decidedAt !== null && lease.incident === request.incident && lease.decidedAt === request.decidedAt
  )
}

function settled(request: LeaseRequest): Pick<Containment, 'reason' | 'owner' | 'incident' | 'decidedAt'> {
  return { reason: request.reason, owner: request.owner, incident: request.incident, decidedAt: request.decidedAt }
}

function change(lease: Containment, changes: Partial<Containment>): LeaseDecision {
  return { revisions: [{ ...lease, ...changes, revision: lease.revision + 1 }], refused: null }
}

function refuse(refused: LeaseRefusal): LeaseDecision {
  return { revisions: [], refused }
}
