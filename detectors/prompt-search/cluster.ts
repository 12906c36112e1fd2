import type { z } from 'zod'
import type { EventOf } from '../../schemas/index.ts'
import type { Difference } from './difference.ts'
import { disguiseEvidence, persistenceEvidence, searchEvidence, sweepEvidence } from './evidence.ts'
import type { Link } from './link.ts'
import { type Cluster, type Pattern, patterns, type State as Shape } from './state.ts'

export type State = z.infer<typeof Shape>

const keptMembers = 8
const keptPlaces = 4
const keptContexts = 12
const keptPrincipals = 128
/** Evidence does not grow without end, so that a group that ends its search is soon left alone. */
const ceiling = 40
/** Half of the evidence for insisting is gone after so many milliseconds. */
const patience = 900_000

export function openCluster(state: State, opened: string, openedAt: number, maxClusters: number): Cluster {
  const cluster: Cluster = {
    id: state.nextCluster++,
    opened,
    openedAt,
    touchedAt: openedAt,
    members: [],
    count: 0,
    places: [],
    contexts: [],
    fresh: [],
    lost: [],
    left: [],
    ended: false,
    evidence: { search: 0, disguise: 0, persistence: 0, sweep: 0 },
    principals: [],
    revisions: 0,
    statedAt: 0,
  }
  state.clusters.set(cluster.id, cluster)
  if (state.clusters.size > maxClusters) {
    const oldest = state.clusters.keys().next().value
    if (oldest !== undefined) state.clusters.delete(oldest)
  }
  return cluster
}

/** Weighs one more prompt of a group. @returns the pattern with most evidence */
export function weigh(state: State, link: Link, { data, time }: EventOf<'prompt'>): Pattern {
  const { cluster } = link
  state.clusters.delete(cluster.id)
  state.clusters.set(cluster.id, cluster)
  const { evidence } = cluster
  // Somebody who asks the same once an hour does not insist.
  evidence.persistence *= 2 ** (-Math.max(0, time - cluster.touchedAt) / patience)
  cluster.touchedAt = time
  const search = raise(evidence, 'search', searchEvidence(link))
  const disguise = raise(evidence, 'disguise', disguiseEvidence(link))
  const persistence = raise(evidence, 'persistence', persistenceEvidence(link))
  raise(evidence, 'sweep', sweepEvidence(link))
  cluster.count++
  // What the prompt itself adds: who happens to ask what somebody else insists on insists on nothing.
  credit(cluster, data.principal, data.organization, Math.max(search, disguise, persistence))
  return leading(cluster)
}

function raise(evidence: Cluster['evidence'], pattern: Pattern, amount: number): number {
  evidence[pattern] = Math.min(ceiling, Math.max(0, evidence[pattern] + amount))
  return amount
}

function credit(cluster: Cluster, name: string, organization: string | null, amount: number): void {
  const known = cluster.principals.find((each) => each.name === name)
  if (known) known.evidence += Math.max(0, amount)
  else if (cluster.principals.length < keptPrincipals) cluster.principals.push({ name, organization, evidence: Math.max(0, amount) })
}

/** Takes the prompt `seq` into a group, and what is new in it. */
export function join(cluster: Cluster, seq: number, difference: Difference | null): void {
  cluster.fresh.length = 0
  cluster.lost.length = 0
  cluster.left.length = 0
  if (difference) note(cluster, difference)
  if (cluster.places.length > keptPlaces) cluster.places.shift()
  if (cluster.contexts.length > keptContexts) cluster.contexts.shift()
  cluster.members.push(seq)
  if (cluster.members.length > keptMembers) cluster.members.shift()
}

function note(cluster: Cluster, difference: Difference): void {
  cluster.ended = difference.after === 0
  for (let i = 0; i < difference.lostCount; i++) {
    cluster.lost.push(difference.lostHashes[i] as number)
    cluster.left.push(difference.lostLeft[i] as number)
  }
  if (difference.freshCount === 0) return
  cluster.places.push(difference.freshPlace)
  if (difference.freshContext !== 0) cluster.contexts.push(difference.freshContext)
  for (let i = 0; i < difference.freshCount; i++) cluster.fresh.push(difference.freshHashes[i] as number)
}

/** A series of refusals never leads: it only informs. */
function leading({ evidence }: Cluster): Pattern {
  let best: Pattern = 'search'
  for (const pattern of patterns) if (pattern !== 'sweep' && evidence[pattern] > evidence[best]) best = pattern
  return best
}
