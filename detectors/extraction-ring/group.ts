import { z } from 'zod'
import { EventId, Instant, Name } from '../../schemas/index.ts'
import { type Account, weightOf } from './accounts.ts'
import type { Parameters } from './parameters.ts'
import { emptyPortrait, Portrait } from './portrait.ts'

/** What shares of the accounts since the group began may be its own; the evidence is the mean over them. */
const shares = [0.05, 0.12, 0.3, 0.6, 0.9, 0.98] as const
/** Accounts born before the group was noticed that may still be counted among those that are not its own. */
const lookBack = 256
/** Whoever was there long before a group began is twenty times less likely to be of it. */
const olderOdds = 0.05
const strongWeight = 5
const coreWeight = 20
/** Names in one finding; further ones open the next, so that no revision grows without bound. */
export const mostNames = 256
const mostGroups = 64

/**
 * Accounts whose odd queries lie among each other's. Sums of logarithms are kept by share, so that a query costs a few
 * of them and not a pass over the members; what an evicted account added stays.
 */
export const Group = z.object({
  id: z.int().min(1),
  opened: EventId,
  openedAt: Instant,
  touchedAt: Instant,
  /** Births counted from here on; never more than {@link lookBack} before the opening. */
  bornFrom: z.int().min(0),
  openedBirth: z.int().min(0),
  members: z.int().min(0),
  strong: z.int().min(0),
  core: z.int().min(0),
  events: z.int().min(0),
  sums: z.array(z.number()).length(shares.length),
  /** What its odd queries are like. */
  portrait: Portrait,
  /** Named in the current finding, oldest first. */
  names: z.array(Name).max(mostNames),
  organizations: z.array(Name).max(mostNames),
  /** Named in all. */
  named: z.int().min(0),
})
export type Group = z.infer<typeof Group>

/** A ring of accounts for others to ask about: who they are, without the detector's state. */
export interface Ring {
  readonly id: number
  readonly since: Instant
  readonly principals: readonly string[]
}

/** The groups of one model in which somebody has been named. */
export function ringsOf(groups: readonly Group[]): Ring[] {
  return groups
    .filter(({ names }) => names.length > 0)
    .map(({ id, openedAt, names }) => ({ id, since: openedAt, principals: names.slice() }))
}

export function openGroup(groups: Group[], id: number, opened: EventId, at: Instant, births: number): Group {
  const group: Group = {
    id,
    opened,
    openedAt: at,
    touchedAt: at,
    bornFrom: births,
    openedBirth: births,
    members: 0,
    strong: 0,
    core: 0,
    events: 0,
    sums: shares.map(() => 0),
    portrait: emptyPortrait(),
    names: [],
    organizations: [],
    named: 0,
  }
  if (groups.length >= mostGroups) groups.splice(weakest(groups), 1)
  groups.push(group)
  return group
}

/** The group with the fewest strong members, of those the one that nothing touched for longest. */
function weakest(groups: readonly Group[]): number {
  let found = 0
  for (let i = 1; i < groups.length; i++) {
    const [best, each] = [groups[found] as Group, groups[i] as Group]
    if (each.strong < best.strong || (each.strong === best.strong && each.touchedAt < best.touchedAt)) found = i
  }
  return found
}

/** Adds an account's evidence to its group's, or takes it out again (`sign` −1) before it changes. */
export function count(group: Group, account: Account, sign: 1 | -1, p: Parameters): void {
  const weight = weightOf(account)
  for (let i = 0; i < shares.length; i++) {
    const share = shares[i] as number
    const ratio = (1 - share + share * weight) / (1 - p.oddShare + p.oddShare * weight)
    group.sums[i] = (group.sums[i] as number) + sign * Math.log(ratio)
  }
  group.members = Math.max(0, group.members + sign)
  if (weight >= strongWeight) group.strong = Math.max(0, group.strong + sign)
  if (weight >= coreWeight && account.telling >= 2) group.core = Math.max(0, group.core + sign)
  if (sign > 0) group.bornFrom = Math.max(group.openedBirth - lookBack, Math.min(group.bornFrom, account.number))
}

export interface Verdict {
  /** Natural logarithm of the likelihood ratio: a ring of unknown share, against honest accounts that happen to be alike. */
  readonly evidence: number
  /** Odds that an account born since is of the ring, before its own queries are looked at. */
  readonly odds: number
}

/**
 * Two groups of accounts in a mixture, the share of one unknown (Efron 2010, "Large-Scale Inference", empirical Bayes). An
 * honest population may hold a share of accounts that are odd in the same way, so no account counts for more than
 * share / oddShare, however odd.
 */
export function judge(group: Group, births: number, p: Parameters): Verdict {
  const others = Math.max(0, births - group.bornFrom + 1 - group.members)
  let top = Number.NEGATIVE_INFINITY
  for (let i = 0; i < shares.length; i++) top = Math.max(top, total(group, i, others, p))
  let [sum, mean] = [0, 0]
  for (let i = 0; i < shares.length; i++) {
    const weight = Math.exp(total(group, i, others, p) - top)
    sum += weight
    mean += weight * (shares[i] as number)
  }
  const share = mean / sum
  return { evidence: top + Math.log(sum / shares.length), odds: share / (1 - share) }
}

function total(group: Group, i: number, others: number, p: Parameters): number {
  return (group.sums[i] as number) + others * Math.log((1 - (shares[i] as number)) / (1 - p.oddShare))
}

/** Whether enough accounts of it have shown enough for a group to be called a ring. */
export function isRing(group: Group, { evidence }: Verdict, p: Parameters): boolean {
  if (evidence < Math.log(p.threshold)) return false
  return group.strong >= p.members && (group.core >= p.core || group.strong >= p.crowd)
}

/** Probability that an account is of the ring. @param traits likelihood ratio of what it shares with the ring's accounts */
export function membership(group: Group, verdict: Verdict, account: Account, traits: number): number {
  const odds = verdict.odds * (account.number < group.bornFrom ? olderOdds : 1) * weightOf(account) * traits
  return odds / (1 + odds)
}
