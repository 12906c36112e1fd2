import { z } from 'zod'
import type { Action, Containment, Instant } from '../../schemas/index.ts'
import { leaseId, splitTarget, Target } from '../../schemas/index.ts'
import { holds } from '../leases/lease.ts'
import { type Inventory, modelsLeftWithout } from './inventory.ts'

const Share = z.number().min(0).max(1)

export const GuardOptions = z.strictObject({
  mode: z.enum(['enforce', 'dry-run']).default('enforce'),
  /** Most of the active principals that machines may contain at once, by how hard. */
  maxShare: z.strictObject({ degrade: Share.default(0.5), restrict: Share.default(0.1), block: Share.default(0.1) }).prefault({}),
  /** This many may be contained whatever the share: with few principals a share is no measure. */
  floor: z.int().min(0).default(32),
  /** Never contained by a machine alone. */
  protected: z.array(Target).max(10_000).default([]),
  maxActionsPerMinute: z.int().min(1).default(300),
  /** A finding older than this is history: what it asks for is recorded, not done. */
  maxFindingAgeMs: z
    .int()
    .min(1_000)
    .default(15 * 60 * 1_000),
})
export type GuardOptions = z.infer<typeof GuardOptions>

/** What the guard looks at; the shell gathers it. */
export interface Situation {
  readonly now: Instant
  /** Every lease known, ended ones included. */
  readonly leases: readonly Containment[]
  /** Allowed a moment ago, and not among `leases` yet. */
  readonly pending: readonly Action[]
  readonly inventory: Inventory
  /** Actions carried out in the last minute. */
  readonly recentActions: number
}

export type Verdict =
  | { readonly decision: 'allow' }
  /** A person must say yes. */
  | { readonly decision: 'awaiting-approval'; readonly reason: string }
  /** Recorded as what would have been done. */
  | { readonly decision: 'would-have'; readonly reason: string }

const allow: Verdict = { decision: 'allow' }

/** Whether a machine may do this now. Pure; the first check that objects decides. */
export function judge(action: Action, situation: Situation, options: GuardOptions): Verdict {
  const held = situation.leases.find((lease) => lease.id === leaseId(action.target, action.responder))
  return (
    refuseWhat(action, situation, options, held) ??
    // What contains the target already reaches nobody new.
    (holds(held, situation.now) ? null : limitReach(action, situation, options)) ??
    limitRate(situation, options) ??
    allow
  )
}

function refuseWhat(action: Action, { now }: Situation, options: GuardOptions, held: Containment | undefined): Verdict | null {
  if (options.mode === 'dry-run') return { decision: 'would-have', reason: 'The guard is in dry-run mode.' }
  if (action.decidedAt !== null && now - action.decidedAt > options.maxFindingAgeMs) {
    const age = Math.round((now - action.decidedAt) / 1_000)
    return {
      decision: 'would-have',
      reason: `The finding is ${age} s old, over the ${options.maxFindingAgeMs / 1_000} s that count as now.`,
    }
  }
  if (held?.state === 'released' && held.until > now) {
    return { decision: 'would-have', reason: `${held.endedBy} released this lease, which was to last until ${iso(held.until)}.` }
  }
  if (options.protected.includes(action.target)) return { decision: 'awaiting-approval', reason: `${action.target} is protected.` }
  return null
}

function limitReach(action: Action, situation: Situation, options: GuardOptions): Verdict | null {
  const { kind } = splitTarget(action.target)
  if (kind === 'principal') return limitPrincipals(action, situation, options)
  if (kind === 'pool' && action.responder === 'quarantine-pool') return keepServing(action, situation)
  return null
}

function limitPrincipals(action: Action, situation: Situation, options: GuardOptions): Verdict | null {
  if (action.effect === 'notify') return null
  const degrades = action.effect === 'degrade'
  const reached = new Set<string>()
  for (const lease of situation.leases) {
    if (holds(lease, situation.now) && isAlike(lease.target, lease.action === 'harden-output', degrades)) reached.add(lease.target)
  }
  for (const other of situation.pending) if (isAlike(other.target, other.effect === 'degrade', degrades)) reached.add(other.target)
  reached.add(action.target)
  const share = options.maxShare[action.effect]
  const most = Math.max(options.floor, Math.floor(share * situation.inventory.activePrincipals))
  if (reached.size <= most) return null
  const reason = `It would contain ${reached.size} principals at once; the limit is ${most} of ${situation.inventory.activePrincipals} active.`
  return { decision: 'awaiting-approval', reason }
}

/** Hardened principals are counted apart from those who are refused something. */
function isAlike(target: string, degraded: boolean, degrades: boolean): boolean {
  return splitTarget(target).kind === 'principal' && degraded === degrades
}

function keepServing(action: Action, { leases, pending, inventory, now }: Situation): Verdict | null {
  const { id } = splitTarget(action.target)
  const out = new Set([id])
  for (const lease of leases) if (lease.action === 'quarantine-pool' && holds(lease, now)) out.add(splitTarget(lease.target).id)
  for (const other of pending) if (other.responder === 'quarantine-pool') out.add(splitTarget(other.target).id)
  const lost = modelsLeftWithout(inventory, id, out)
  if (lost.length === 0) return null
  return { decision: 'awaiting-approval', reason: `No other pool would serve ${lost.join(', ')}.` }
}

function limitRate({ recentActions }: Situation, { maxActionsPerMinute }: GuardOptions): Verdict | null {
  if (recentActions < maxActionsPerMinute) return null
  return { decision: 'awaiting-approval', reason: `${recentActions} actions in the last minute reach the limit of ${maxActionsPerMinute}.` }
}

function iso(at: Instant): string {
  return new Date(at).toISOString()
}
