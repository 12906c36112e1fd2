import { ceilings, clip, weigh } from './evidence.ts'
import type { Scene } from './geometry.ts'
import { seen } from './link.ts'
import type { Params } from './parameters.ts'
import { type Features, featuresOf } from './patterns.ts'
import type { Point } from './point.ts'
import { begin, fade, follow, searchEvidence } from './search.ts'
import { type Cluster, type Pattern, patterns, type State } from './state.ts'

/** Members kept in order for geometry and the console. */
const maxMembers = 64
/** Members that a new one is compared with. */
const trailLength = 16
/** The long run is looked at once in so many members, over so many. */
const pastEvery = 12
const pastLength = 36
const maxPrincipals = 64

/** Patterns that are geometry; the others are circumstances. */
export const structural = patterns.filter((pattern) => pattern !== 'boundary' && pattern !== 'strange')

/** Log-likelihood ratio of an attack, all patterns together. */
export function scoreOf(cluster: Cluster): number {
  const { evidence } = cluster
  const geometry = structural.reduce((sum, pattern) => sum + evidence[pattern], 0)
  // An undecided or odd input seen often is one coincidence, not many: it adds to what the geometry says, in proportion.
  const undecided = Math.min(0.5 + 1.2 * geometry, evidence.boundary)
  // Honest clients have odd inputs too, and move them about. They do not search or bisect with them.
  const odd = Math.min(1.2 * (evidence.search + evidence.bisection), evidence.strange)
  return geometry + Math.min(0.5 + 1.2 * geometry, undecided + odd)
}

/** Puts a linked query into its parent's cluster, or both into a new one, and weighs what the link says. */
export function grow(state: State, found: Scene, added: Point, params: Params, scale: number): Cluster {
  const cluster = clusterOf(state, found, params)
  const trail = seen(state.memory, cluster.members.slice(-trailLength))
  const past = cluster.count % pastEvery === 0 && cluster.count >= pastLength ? seen(state.memory, cluster.members.slice(-pastLength)) : []
  const others = found.own.filter((each) => each.point.cluster !== cluster.id)
  const scene = { ...found, query: { point: added, vector: found.query.vector }, trail, own: others, past }
  const features = featuresOf(scene, scale)
  decay(cluster, added.at, params.halfLifeMs)
  const before = scoreOf(cluster)
  const own = learn(cluster, features)
  searched(cluster, added, found.parent.point, features.corner)
  const gained = Math.max(own, scoreOf(cluster) - before)
  added.cluster = cluster.id
  cluster.members = [...cluster.members, added.seq].slice(-maxMembers)
  cluster.count++
  cluster.lastAt = Math.max(cluster.lastAt, added.at)
  credit(cluster, added, gained)
  return cluster
}

/** The parent's cluster; the newest is last. */
function clusterOf(state: State, { parent }: Scene, params: Params): Cluster {
  const at = state.clusters.findIndex((each) => each.id === parent.point.cluster)
  const known = state.clusters[at]
  if (known) {
    state.clusters.splice(at, 1)
    state.clusters.push(known)
    return known
  }
  const { point } = parent
  const cluster: Cluster = {
    id: state.nextCluster++,
    opened: point.event,
    openedAt: point.at,
    lastAt: point.at,
    members: [point.seq],
    count: 1,
    evidence: { bisection: 0, antithetic: 0, sparse: 0, walk: 0, search: 0, creep: 0, boundary: 0, strange: 0 },
    search: begin(point),
    principals: [],
    revisions: 0,
    joined: 0,
  }
  point.cluster = cluster.id
  credit(cluster, point, 0)
  state.clusters.push(cluster)
  if (state.clusters.length > params.maxClusters) state.clusters.shift()
  return cluster
}

function decay(cluster: Cluster, now: number, halfLife: number): void {
  const factor = 2 ** -(Math.max(0, now - cluster.lastAt) / halfLife)
  for (const pattern of patterns) cluster.evidence[pattern] *= factor
  fade(cluster.search, factor)
}

function searched(cluster: Cluster, added: Point, parent: Point, corner: Features['corner']): void {
  const { search } = cluster
  follow(search, added, parent, cluster.count, corner)
  cluster.evidence.search = Math.min(ceilings.search, searchEvidence(search))
}

/** Returns what the link says for itself, though the cluster may have known as much as it can. */
function learn(cluster: Cluster, features: Features): number {
  const { sums, levels } = weigh(features)
  const { evidence } = cluster
  for (const [pattern, value] of Object.entries(sums) as [Pattern, number][])
    evidence[pattern] = clip(evidence[pattern] + value, 0, ceilings[pattern])
  for (const [pattern, value] of Object.entries(levels) as [Pattern, number][]) evidence[pattern] = value
  return Object.values(sums).reduce((sum, value) => sum + Math.max(0, value), 0)
}

/** A cluster that grows is stated again when its evidence has doubled; one that draws in others, at once, so often at most. */
const mostJoins = 64
/** Nats of a principal's own that tell it from a stranger whose image an attacker began with; more once the cluster is known. */
const ownEvidence = 0.5
const joiningEvidence = 1

/** Whether the cluster is to be stated now; if so, it counts as stated. */
export function due(cluster: Cluster, { threshold }: Params): boolean {
  const score = scoreOf(cluster)
  const more = score >= threshold * 2 ** cluster.revisions
  const somebody = cluster.revisions > 0 && cluster.joined < mostJoins && suspects(cluster).some((each) => !each.named)
  if (!more && !somebody) return false
  if (more) cluster.revisions++
  else cluster.joined++
  for (const each of suspects(cluster)) each.named = true
  return true
}

/** Those of whom the cluster speaks. One query without evidence may be a stranger's, whose image the attacker happened to start from. */
export function suspects({ principals, count, revisions }: Cluster): Cluster['principals'] {
  const least = revisions > 0 ? joiningEvidence : ownEvidence
  return principals.filter((each) => each.named || each.evidence >= least || (each.queries > 1 && each.queries >= count * 0.2))
}

function credit(cluster: Cluster, point: Point, gained: number): void {
  const at = cluster.principals.findIndex((each) => each.name === point.principal)
  const known = cluster.principals[at] ?? { name: point.principal, organization: point.organization, queries: 0, evidence: 0, named: false }
  if (at >= 0) cluster.principals.splice(at, 1)
  known.queries++
  known.evidence += gained
  cluster.principals.push(known)
  if (cluster.principals.length > maxPrincipals) cluster.principals.shift()
}
