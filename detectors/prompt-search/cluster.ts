import type { z } from 'zod'
import type { EventOf } from '../../schemas/index.ts'
import { disguiseEvidence, type Link, persistenceEvidence, searchEvidence } from './evidence.ts'
import { type Cluster, type Pattern, patterns, type State as Shape } from './state.ts'

export type State = z.infer<typeof Shape>

const keptMembers = 8
const keptPlaces = 3
const keptPrincipals = 128
/** Evidence does not grow without end, so that a group that ends its search is soon left alone. */
const ceiling = 40

export function openCluster(state: State, opened: string, openedAt: number, maxClusters: number): Cluster {
  const cluster: Cluster = {
    id: state.nextCluster++,
    opened,
    openedAt,
    members: [],
    count: 0,
    places: [],
    evidence: { search: 0, disguise: 0, persistence: 0 },
    principals: [],
    revisions: 0,
  }
  state.clusters.set(cluster.id, cluster)
  if (state.clusters.size > maxClusters) {
    const oldest = state.clusters.keys().next().value
    if (oldest !== undefined) state.clusters.delete(oldest)
  }
  return cluster
}

/** Weighs one more prompt of a group. @returns the pattern with most evidence */
export function weigh(state: State, cluster: Cluster, link: Link, { data }: EventOf<'prompt'>): Pattern {
  state.clusters.delete(cluster.id)
  state.clusters.set(cluster.id, cluster)
  const { evidence } = cluster
  const gain = raise(evidence, 'search', searchEvidence(link))
  raise(evidence, 'disguise', disguiseEvidence(link))
  raise(evidence, 'persistence', persistenceEvidence(link))
  cluster.count++
  if (!link.repeated && link.difference.sites > 0) {
    cluster.places.push(link.difference.place)
    if (cluster.places.length > keptPlaces) cluster.places.shift()
  }
  credit(cluster, data.principal, data.organization, Math.max(gain, evidence.disguise > 0 || evidence.persistence > 0 ? 1 : 0))
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

export function join(cluster: Cluster, seq: number): void {
  cluster.members.push(seq)
  if (cluster.members.length > keptMembers) cluster.members.shift()
}

function leading({ evidence }: Cluster): Pattern {
  let best: Pattern = 'search'
  for (const pattern of patterns) if (evidence[pattern] > evidence[best]) best = pattern
  return best
}
