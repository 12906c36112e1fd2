import { renews } from '../statistics/renewal.ts'
import { Distances, trailLength } from './distances.ts'
import { ceilings, clip, summed, weigh } from './evidence.ts'
import type { Link } from './geometry.ts'
import { seen } from './link.ts'
import type { Params } from './parameters.ts'
import { type Features, featuresOf } from './patterns.ts'
import type { Point, Seen } from './point.ts'
import { begin, fade, follow, searchEvidence } from './search.ts'
import { type Cluster, patterns, type State } from './state.ts'
import { strideOf } from './stride.ts'

/** Members kept in order for geometry and the console. */
const maxMembers = 64
/** The long run is looked at once in so many members, over so many. */
const pastEvery = 12
const pastLength = 36
const maxPrincipals = 64

/** Patterns that are geometry; the others are circumstances. */
export const structural = patterns.filter((pattern) => pattern !== 'boundary' && pattern !== 'strange')

/** Those that say how the queries lie, whatever was answered. */
const shapes = structural.filter((pattern) => pattern !== 'search' && pattern !== 'steered')

/** Log-likelihood ratio of an attack, all patterns together. */
export function scoreOf(cluster: Cluster): number {
  // That the answers were read is known once, whichever shows it. Where the model is undecided they tell much and vary by themselves.
  return unsteered(cluster) + Math.max(0, cluster.evidence.steered - cluster.evidence.search)
}

function unsteered({ evidence }: Cluster): number {
  let geometry = evidence.search
  for (const pattern of shapes) geometry += evidence[pattern]
  // An undecided or odd input seen often is one coincidence, not many: it adds to what the geometry says, in proportion.
  // Noise about an undecided input is also what a bisection comes to when noise is added to its queries.
  const most = 0.5 + 0.6 * geometry + 2.1 * evidence.bisection
  // Honest clients have odd inputs too, and move them about. They do not search with them.
  const odd = Math.min(0.3 * evidence.search, evidence.strange)
  return geometry + Math.min(most, evidence.boundary + odd)
}

/** What is known of the distances in a cluster; computed again when it is not. */
const distances = new WeakMap<Cluster, Distances>()

function distancesOf(cluster: Cluster): Distances {
  const known = distances.get(cluster)
  if (known) return known
  const fresh = new Distances()
  distances.set(cluster, fresh)
  return fresh
}

/** Puts a linked query into its parent's cluster, or both into a new one, and weighs what the link says. */
export function grow(state: State, found: Link, query: Seen, params: Params, scale: number): Cluster {
  const cluster = clusterOf(state, found.parent, params)
  const added = query.point
  const gained = cluster.count % strideOf(cluster) === 0 ? weighed(state, cluster, found, query, params, scale) : 0
  added.cluster = cluster.id
  cluster.members.push(added.seq)
  if (cluster.members.length > maxMembers) cluster.members.shift()
  cluster.count++
  cluster.lastAt = Math.max(cluster.lastAt, added.at)
  credit(cluster, added, gained)
  return cluster
}

/** Nats that count as saying something. */
const sign = 0.3

/** Returns what the query said, in nats. */
function weighed(state: State, cluster: Cluster, found: Link, query: Seen, params: Params, scale: number): number {
  const apart = distancesOf(cluster)
  const trail = trailOf(state, cluster, apart)
  apart.place(query, cluster.count)
  if (!trail.includes(found.parent)) apart.placeParent(found.parent)
  const past = cluster.count % pastEvery === 0 && cluster.count >= pastLength ? seen(state.memory, cluster.members.slice(-pastLength)) : []
  const own = found.own.filter((each) => each.point.cluster !== cluster.id)
  const features = featuresOf({ ...found, own, query, trail, apart, past, reach: query.point.reference / scale }, scale)
  decay(cluster, query.point.at, params.halfLifeMs)
  const before = unsteered(cluster)
  const said = learn(cluster, features)
  searched(cluster, query.point, found.parent.point, features)
  const gained = Math.max(said, unsteered(cluster) - before)
  cluster.quiet = gained > sign ? 0 : cluster.quiet + 1
  return gained
}

/** The last members that are still remembered, each with its row among the distances. */
function trailOf({ memory }: State, { members, count }: Cluster, apart: Distances): Seen[] {
  const trail: Seen[] = []
  for (let at = Math.max(0, members.length - trailLength); at < members.length; at++) {
    const entry = memory.entry(members[at] as number)
    if (!entry) continue
    apart.place(entry, count - members.length + at)
    trail.push(entry)
  }
  return trail
}

/** The parent's cluster; the newest is last. */
function clusterOf(state: State, parent: Seen, params: Params): Cluster {
  const at = parent.point.cluster === 0 ? -1 : state.clusters.findLastIndex((each) => each.id === parent.point.cluster)
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
    evidence: { bisection: 0, antithetic: 0, sparse: 0, walk: 0, search: 0, steered: 0, creep: 0, boundary: 0, strange: 0 },
    search: begin(point),
    quiet: 0,
    principals: [],
    revisions: 0,
    joined: 0,
    statedAt: 0,
  }
  point.cluster = cluster.id
  credit(cluster, point, 0)
  state.clusters.push(cluster)
  if (state.clusters.length > params.maxClusters) state.clusters.shift()
  return cluster
}

function decay(cluster: Cluster, now: number, halfLife: number): void {
  if (now <= cluster.lastAt) return
  const factor = 2 ** -((now - cluster.lastAt) / halfLife)
  for (const pattern of patterns) cluster.evidence[pattern] *= factor
  fade(cluster.search, factor)
}

function searched(cluster: Cluster, added: Point, parent: Point, features: Features): void {
  const { search } = cluster
  follow(search, added, parent, cluster.count, features)
  cluster.evidence.search = Math.min(ceilings.search, searchEvidence(search))
}

/** Nats of steering to which chance hardly comes: a camera's frames follow the answers for a while, and say nothing of it. */
const surely = 3

/** Returns what the link says for itself, though the cluster may have known as much as it can. */
function learn(cluster: Cluster, features: Features): number {
  const { sums, levels } = weigh(features)
  const { evidence } = cluster
  let gained = 0
  for (const pattern of summed) {
    const value = sums[pattern]
    evidence[pattern] = clip(evidence[pattern] + value, 0, ceilings[pattern])
    if (pattern !== 'steered' || evidence.steered >= surely) gained += Math.max(0, value)
  }
  evidence.boundary = levels.boundary
  evidence.strange = levels.strange
  return gained
}

/** A cluster that grows is stated again when its evidence has doubled; one that draws in others, at once, so often at most. */
const mostJoins = 64
/** Nats of a principal's own that tell it from a stranger whose image an attacker began with; more once the cluster is known. */
const ownEvidence = 0.5
const joiningEvidence = 1

/**
 * Whether the cluster is to be stated now; if so, it counts as stated.
 *
 * @param added the query that it has just grown by
 */
export function due(cluster: Cluster, { threshold }: Params, added: Pick<Point, 'principal' | 'at'>): boolean {
  const score = scoreOf(cluster)
  const more = score >= threshold * 2 ** cluster.revisions
  const somebody = cluster.revisions > 0 && cluster.joined < mostJoins && suspects(cluster).some((each) => !each.named)
  const goesOn = score >= threshold && renews(cluster.statedAt, added.at) && suspects(cluster).some(({ name }) => name === added.principal)
  if (!more && !somebody && !goesOn) return false
  if (more) cluster.revisions++
  else if (somebody) cluster.joined++
  cluster.statedAt = added.at
  for (const each of suspects(cluster)) each.named = true
  return true
}

/**
 * Those of whom the cluster speaks: whose queries said something. A camera whose scene an attacker began with has sent most of them,
 * and one query may be a stranger's.
 */
export function suspects({ principals, revisions }: Cluster): Cluster['principals'] {
  const most = principals.reduce((found, each) => Math.max(found, each.evidence), 0)
  const least = Math.min(most, revisions > 0 ? joiningEvidence : ownEvidence)
  return principals.filter((each) => each.named || each.evidence >= least)
}

/** Nats that a query takes back which says nothing: a camera's say a little now and then, an attack's more often. */
const forgiven = 0.1

function credit(cluster: Cluster, point: Point, gained: number): void {
  const at = cluster.principals.findIndex((each) => each.name === point.principal)
  const known = cluster.principals[at] ?? { name: point.principal, organization: point.organization, queries: 0, evidence: 0, named: false }
  if (at >= 0) cluster.principals.splice(at, 1)
  known.queries++
  known.evidence = gained > 0 ? known.evidence + gained : Math.max(0, known.evidence - forgiven)
  cluster.principals.push(known)
  if (cluster.principals.length > maxPrincipals) cluster.principals.shift()
}
