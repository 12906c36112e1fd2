import type { EventOf } from '../../schemas/index.ts'
import { type DetectorLogic, defineDetector, type Step } from '../contract.ts'
import { renews } from '../statistics/renewal.ts'
import { type State as Live, weigh } from './cluster.ts'
import { draft } from './finding.ts'
import { linkPrompt } from './link-prompt.ts'
import { Memory } from './memory.ts'
import { Params } from './parameters.ts'
import { Sketch } from './sketch.ts'
import { Clusters, State } from './state.ts'

export const promptSearch = defineDetector({
  id: 'prompt-search',
  version: 4,
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
  const linked = linkPrompt(state, o, sketch, params.maxClusters)
  if (!linked) return undefined
  const { cluster } = linked
  const pattern = weigh(state, linked, o)
  const evidence = cluster.evidence[pattern]
  const goesOn = evidence >= params.threshold && renews(cluster.statedAt, o.time)
  if (evidence < levelOf(cluster.revisions, params) && !goesOn) {
    if (cluster.revisions > 0 || cluster.evidence.sweep < params.threshold) return undefined
    cluster.revisions = 1
    return { state, findings: [draft(cluster, 'sweep', params.threshold, o)] }
  }
  while (evidence >= levelOf(cluster.revisions, params)) cluster.revisions++
  cluster.statedAt = o.time
  return { state, findings: [draft(cluster, pattern, params.threshold, o)] }
}

/** Evidence for the next statement: a first word a little below the threshold, then certainty by certainty, then twice as much each time. */
function levelOf(stated: number, { threshold }: Params): number {
  if (stated === 0) return 0.8 * threshold
  return stated < 4 ? threshold + 1.2 * (stated - 1) : threshold * 2 ** (stated - 3)
}
