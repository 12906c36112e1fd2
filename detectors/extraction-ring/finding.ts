import type { EventOf } from '../../schemas/index.ts'
import type { FindingDraft } from '../contract.ts'
import { type Account, weightOf } from './accounts.ts'
import type { Group, Verdict } from './group.ts'
import type { Trait } from './traits.ts'

/** An account that the ring takes in, and why. */
export interface Joined {
  readonly account: Account
  readonly probability: number
  /** What it shares with accounts named before. */
  readonly kinds: readonly Trait[]
  /** Whether its own queries lie among the ring's. */
  readonly bySource: boolean
}

export function draft(event: EventOf<'fingerprint'>, group: Group, { evidence, odds }: Verdict, joined: readonly Joined[]): FindingDraft {
  const least = joined.reduce((p, each) => Math.min(p, each.probability), 1)
  return {
    opened: group.opened,
    severity: 'high',
    // The one it is least sure of decides, since all are treated alike.
    confidence: Math.min(0.97, least),
    title: `${group.named} accounts query ${event.data.model} as one: inputs unlike ordinary traffic and like each other's`,
    principals: group.names.slice(),
    organizations: group.organizations.slice(),
    model: event.data.model,
    workload: null,
    pool: null,
    window: { from: Math.min(group.openedAt, event.time), until: event.time },
    eventsSeen: Math.max(1, group.events),
    evidence: {
      logEvidence: round(evidence),
      ringShareOfNewAccounts: round(odds / (1 + odds)),
      accounts: group.named,
      members: group.members,
      withEvidence: group.strong,
      withRepeatedEvidence: group.core,
      joined: joined.slice(-64).map(({ account }) => account.name.slice(0, 128)),
      joinedBecause: joined.slice(-64).map(reasonOf),
      joinedWeights: joined.slice(-64).map(({ account }) => round(Math.log(weightOf(account)))),
      joinedProbabilities: joined.slice(-64).map(({ probability }) => round(probability)),
    },
    threats: ['AML.T0024.002', 'AML.T0005.001'],
  }
}

function reasonOf({ bySource, kinds }: Joined): string {
  const shared = kinds.map((kind) => ({ client: 'same address', agent: 'same agent', created: 'keys made together' })[kind])
  return [...(bySource ? ['queries among the ring’s'] : []), ...shared].join(', ')
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000
}
