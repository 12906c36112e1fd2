import type { Evidence } from '../../schemas/index.ts'
import { sketchDistance } from '../statistics/sketch.ts'
import { suspects } from './cluster.ts'
import type { Seen } from './point.ts'
import type { Cluster } from './state.ts'

/** Members that say where the search is now. */
const newest = 16
/** Beyond the farthest of them, since the next query is not among them. */
const margin = 1.25
/** Of the distance from the nearest reference input to the middle: ordinary inputs lie no nearer. */
const mostOfReference = 0.5

/** Queries in a cluster after which a principal of whom it does not speak belongs there: a camera, a health check. */
const settled = 5
/** As one string of evidence may have. */
const mostCharacters = 512

/**
 * Where a cluster lies, for who is to keep others out of it: `profile` and `epoch` of its sketches, `middle` (base64 of int16
 * coordinates), `radius` (input units), and `bystanders` (names, with spaces between), who were there of their own and are to stay:
 * else whoever searches around another's inputs had him refused.
 */
export function neighbourhoodOf(
  members: readonly Seen[],
  cluster: Cluster,
  about: { readonly profile: string; readonly epoch: number; readonly scale: number },
): Evidence {
  const { profile, epoch, scale } = about
  const last = members.slice(-newest)
  const middle = meanOf(last)
  const farthest = Math.max(0, ...last.map(({ vector }) => sketchDistance(vector, middle))) * scale
  const references = last.map(({ point }) => point.reference).sort((a, b) => a - b)
  const most = mostOfReference * (references[references.length >> 1] ?? 0)
  const bytes = new Uint8Array(middle.buffer)
  return {
    profile,
    epoch,
    middle: btoa(String.fromCharCode(...bytes)),
    radius: Math.min(margin * farthest, most),
    bystanders: bystandersOf(cluster),
  }
}

/** Those who sent most first. */
function bystandersOf(cluster: Cluster): string {
  const spokenOf = new Set(suspects(cluster).map(({ name }) => name))
  const others = cluster.principals.filter(({ name, queries }) => queries >= settled && !spokenOf.has(name))
  let text = ''
  for (const { name } of others.sort((a, b) => b.queries - a.queries))
    if (text.length + name.length < mostCharacters) text += text === '' ? name : ` ${name}`
  return text
}

function meanOf(members: readonly Seen[]): Int16Array {
  const [first] = members
  if (first === undefined) return new Int16Array(0)
  const sum = new Float64Array(first.vector.length)
  for (const { vector } of members) for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + (vector[i] as number)
  return Int16Array.from(sum, (value) => Math.round(value / members.length))
}
