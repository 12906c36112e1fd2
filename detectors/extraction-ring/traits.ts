/** What accounts of one hand may share beside their queries. */
export const traits = ['client', 'agent', 'created'] as const
export type Trait = (typeof traits)[number]

/** An account, as far as its traits go. */
export interface TraitBearer {
  readonly client: string
  readonly agent: string
  /** When its key was made; 0 where it is not known. */
  readonly created: number
  /** 1 when it has been named in a finding. */
  readonly named: number
  /** The group its queries are nearest to, or 0. */
  readonly group: number
}

/** The most that each may count: addresses are shared by accident, agents more so, and keys are made in bursts on Monday mornings, too. */
const caps: Record<Trait, number> = { client: 30, agent: 8, created: 20 }
/** Keys made in the same quarter of an hour count as made together. */
const burstMs = 15 * 60_000
/** Honest accounts assumed to have been seen before any was: the first to share an address proves little. */
const assumed = 10
/** Values counted; further ones are no evidence until old ones are gone. */
const mostValues = 49_152

function valueOf(trait: Trait, account: TraitBearer): string {
  if (trait === 'created') return account.created > 0 ? `t${Math.floor(account.created / burstMs)}` : ''
  const value = trait === 'client' ? account.client : account.agent
  return value === '' ? '' : `${trait === 'client' ? 'c' : 'a'}${value}`
}

export function tally(counts: Map<string, number>, account: TraitBearer, change: 1 | -1): void {
  for (const trait of traits) {
    const value = valueOf(trait, account)
    if (value === '') continue
    const next = (counts.get(value) ?? 0) + change
    if (next <= 0) counts.delete(value)
    else if (counts.has(value) || counts.size < mostValues) counts.set(value, next)
  }
}

/** What named accounts of a group have: the values, and of how many accounts. */
export interface Shared {
  readonly counts: ReadonlyMap<string, number>
  readonly accounts: number
}

export function sharedBy(group: number, accounts: Iterable<TraitBearer>): Shared {
  const counts = new Map<string, number>()
  let found = 0
  for (const account of accounts) {
    if (account.named === 0 || account.group !== group) continue
    found++
    tally(counts, account, 1)
  }
  return { counts, accounts: found }
}

export interface Likeness {
  /** Likelihood ratio of all traits together; 1 where none is known. */
  readonly ratio: number
  /** The traits that speak for it. */
  readonly kinds: readonly Trait[]
}

const nothing: Likeness = { ratio: 1, kinds: [] }

/**
 * How much likelier an account's traits are in the ring than among all other accounts of the model. An address that
 * hundreds of honest accounts share is worth nothing; one that only the ring has is worth its cap. What an account
 * does not share is no evidence: addresses are easily changed.
 *
 * @param all counts over all remembered accounts, this one and the ring's included
 */
export function likeness(account: TraitBearer, shared: Shared, all: ReadonlyMap<string, number>, accounts: number): Likeness {
  if (shared.accounts < 2) return nothing
  let ratio = 1
  const kinds: Trait[] = []
  for (const trait of traits) {
    const value = valueOf(trait, account)
    const inside = value === '' ? 0 : (shared.counts.get(value) ?? 0) - account.named
    if (inside < 2) continue
    const outside = Math.max(0, (all.get(value) ?? 0) - inside - 1)
    const honest = (outside + 1) / (Math.max(0, accounts - shared.accounts) + assumed)
    const factor = Math.min(caps[trait], inside / shared.accounts / honest)
    if (factor < 2) continue
    ratio *= factor
    kinds.push(trait)
  }
  return kinds.length === 0 ? nothing : { ratio, kinds }
}
