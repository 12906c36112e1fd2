import type { EventOf } from '../../schemas/index.ts'
import { join, openCluster, type State } from './cluster.ts'
import type { Difference } from './difference.ts'
import type { Sketch } from './sketch.ts'
import type { Cluster } from './state.ts'

/** Characters that few others write, for two prompts to have to do with one another. */
const leastShared = 16
/** Changes that begin so many characters from one another are in one place: chunks are longer. */
const samePlace = 3
/** Characters that somebody types, or a reader goes on, from one prompt to the next. */
const cursorStep = 40
const nobody: readonly number[] = []

/** One prompt beside the earlier one that it differs least from. `difference` is valid until the next prompt. */
export interface Link {
  readonly cluster: Cluster
  readonly difference: Difference
  /** The place of what is new was not among the last ones; and it lies a little behind the last one, as a cursor does. */
  readonly moved: boolean
  readonly onward: boolean
  /** Share of what was new in the prompt before that was taken back. */
  readonly abandoned: number
  /** The group's last prompt was passed over for an older one: its change was taken back before this one was made. */
  readonly branched: boolean
  /** The same text to the letter. */
  readonly repeated: boolean
  readonly refused: boolean | null
}

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
  const step = difference.freshPlace - (cluster.places.at(-1) ?? 0)
  const onward = moved && step > 0 && step <= cursorStep
  const abandoned = shareWithout(cluster.fresh, sketch)
  const last = cluster.members.at(-1)
  const branched = last !== undefined && memory.slotOf(last) !== slot
  if (!repeated) join(cluster, memory.add(sketch, data.principal, id, data.exact, cluster.id), difference)
  return { cluster, difference, moved, onward, abandoned, branched, repeated, refused: data.refused }
}

function shareWithout(hashes: readonly number[], sketch: Sketch): number {
  let without = 0
  for (const hash of hashes) if (sketch.find(hash) < 0) without++
  return hashes.length === 0 ? 0 : without / hashes.length
}

/** Whether two prompts have to do with one another: one was made from the other, or both ask for what was refused. */
function related(difference: Difference, refused: boolean | null): boolean {
  const { keptRare, kept, added } = difference
  return keptRare >= leastShared && (refused === true || kept * 6 >= added)
}
