import type { EventOf } from '../../schemas/index.ts'
import { join, openCluster, type State } from './cluster.ts'
import type { Difference } from './difference.ts'
import type { Link } from './link.ts'
import type { Sketch } from './sketch.ts'
import type { Cluster } from './state.ts'

/** Characters that few others write, for two prompts to have to do with one another. */
const leastShared = 16
/** Changes that begin so many characters from one another are in one place: chunks are longer. */
const samePlace = 3
const nobody: readonly number[] = []

/** Remembers a prompt. @returns what links it to an earlier one, if anything does */
export function linkPrompt(state: State, { id, time, data }: EventOf<'prompt'>, sketch: Sketch, maxClusters: number): Link | undefined {
  const { memory, clusters } = state
  sketch.read(data.chunks)
  if (sketch.count === 0) return undefined
  const found = memory.nearest(sketch, (cluster) => clusters.get(cluster)?.members ?? nobody)
  if (!found || !related(found.difference, data.refused)) {
    memory.add(sketch, data.principal, id, data.exact, 0)
    return undefined
  }
  const { slot, difference } = found
  const repeated = memory.exacts[slot] === data.exact
  let cluster = clusters.get(memory.clusters[slot] ?? 0)
  if (!cluster) {
    cluster = openCluster(state, memory.events[slot] ?? id, time, maxClusters)
    memory.clusters[slot] = cluster.id
    join(cluster, memory.seqIn(slot), null)
  }
  const moved = difference.fresh > 0 && cluster.places.every((place) => Math.abs(place - difference.freshPlace) > samePlace)
  const familiar = difference.freshContext !== 0 && cluster.contexts.includes(difference.freshContext)
  const abandoned = shareWithout(cluster.fresh, sketch)
  const restored = shareRestored(cluster, sketch)
  const endsAgain = cluster.ended && difference.after === 0
  if (!repeated) join(cluster, memory.add(sketch, data.principal, id, data.exact, cluster.id), difference)
  return { cluster, difference, moved, familiar, abandoned, restored, endsAgain, repeated, refused: data.refused }
}

function shareWithout(hashes: readonly number[], sketch: Sketch): number {
  let without = 0
  for (const hash of hashes) if (sketch.find(hash) < 0) without++
  return hashes.length === 0 ? 0 : without / hashes.length
}

function shareRestored({ lost, left }: Cluster, sketch: Sketch): number {
  let restored = 0
  for (const [i, hash] of lost.entries()) if (sketch.times(hash) > (left[i] ?? 0)) restored++
  return lost.length === 0 ? 0 : restored / lost.length
}

/** Whether two prompts have to do with one another: one was made from the other, or both ask for what was refused. */
function related(difference: Difference, refused: boolean | null): boolean {
  const { keptRare, kept, added } = difference
  return keptRare >= leastShared && (refused === true || kept * 6 >= added)
}
