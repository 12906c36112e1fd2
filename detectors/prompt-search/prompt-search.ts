import type { EventOf } from '../../schemas/index.ts'
import { type DetectorLogic, defineDetector, type Step } from '../contract.ts'
import { join, type State as Live, openCluster, weigh } from './cluster.ts'
import type { Difference } from './difference.ts'
import { draft } from './finding.ts'
import { Memory } from './memory.ts'
import { Params } from './parameters.ts'
import { Sketch } from './sketch.ts'
import { type Cluster, Clusters, State } from './state.ts'

/** Characters that few others write, for two prompts to have to do with one another. */
const leastShared = 16
/** Changes that begin so many characters from one another are in one place: chunks are longer. */
const samePlace = 3
const nobody: readonly number[] = []

export const promptSearch = defineDetector({
  id: 'prompt-search',
  version: 1,
  summary:
    'Prompts made from one another, from whoever they come, as a search makes them: a strange text changed bit by bit, one text in many disguises, or what was refused asked again in other words.',
  threats: ['AML.T0054', 'AML.T0051', 'AML.T0043.001'],
  observes: ['prompt'],
  params: Params,
  state: State,
  maxKeys: 64,
  idleMs: 7 * 24 * 60 * 60 * 1_000,
  scope: (o) => (o.kind === 'prompt' ? `${o.data.model}/${o.data.epoch}` : null),
  topicKey: (scope) => scope.slice(0, scope.lastIndexOf('/')),
  start,
})

function start(params: Params): DetectorLogic<Live> {
  const sketch = new Sketch()
  return {
    initial: () => ({ memory: new Memory(params.window), clusters: new Clusters(), nextCluster: 1 }),
    onEvent: (state, o) => (o.kind === 'prompt' ? observe(state, o, params, sketch) : undefined),
  }
}

function observe(state: Live, o: EventOf<'prompt'>, params: Params, sketch: Sketch): Step<Live> | undefined {
  const { data } = o
  const { memory, clusters } = state
  sketch.read(data.chunks)
  if (sketch.count === 0) return undefined
  const found = memory.nearest(sketch, (id) => clusters.get(id)?.members ?? nobody)
  if (!found || !related(found.difference, data.refused)) {
    memory.add(sketch, data.principal, o.id, data.exact, 0)
    return undefined
  }
  const { slot, difference } = found
  const repeated = memory.exacts[slot] === data.exact
  const cluster = clusters.get(memory.clusters[slot] ?? 0) ?? openAt(state, slot, o, params)
  const last = cluster.members.at(-1)
  const link = {
    difference,
    repeated,
    moved: cluster.places.every((place) => Math.abs(place - difference.place) > samePlace),
    branched: last !== undefined && memory.slotOf(last) !== slot,
    refused: data.refused,
  }
  const pattern = weigh(state, cluster, link, o)
  if (!repeated) join(cluster, memory.add(sketch, data.principal, o.id, data.exact, cluster.id))
  if (cluster.evidence[pattern] < params.threshold * 2 ** cluster.revisions) return undefined
  cluster.revisions++
  return { state, findings: [draft(cluster, pattern, o)] }
}

/** Whether two prompts have to do with one another: one was made from the other, or both ask for what was refused. */
function related(difference: Difference, refused: boolean | null): boolean {
  const { keptRare, kept, added } = difference
  return keptRare >= leastShared && (refused === true || kept * 6 >= added)
}

function openAt(state: Live, slot: number, o: EventOf<'prompt'>, params: Params): Cluster {
  const { memory } = state
  const cluster = openCluster(state, memory.events[slot] ?? o.id, o.time, params.maxClusters)
  memory.clusters[slot] = cluster.id
  join(cluster, memory.seqIn(slot))
  return cluster
}
