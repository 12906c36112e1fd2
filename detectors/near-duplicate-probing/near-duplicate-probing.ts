import type { EventOf, Observation } from '../../schemas/index.ts'
import { type DetectorLogic, defineDetector, type Step } from '../contract.ts'
import { geometryKey } from '../geometry-key.ts'
import { readSketch } from '../statistics/sketch.ts'
import { bandCount } from './band-index.ts'
import { due, grow } from './cluster.ts'
import { draft } from './finding.ts'
import { link } from './link.ts'
import { Memory } from './memory.ts'
import { Params } from './parameters.ts'
import type { Point } from './point.ts'
import { State } from './state.ts'

export const nearDuplicateProbing = defineDetector({
  id: 'near-duplicate-probing',
  version: 4,
  stateVersion: 5,
  summary:
    'Queries that are similar but not identical, from whoever they come, and that move as an attack does: bisecting to a decision boundary, probing in opposite pairs, changing one input value at a time, following the answers, staying where the model is undecided.',
  threats: ['AML.T0043.001', 'AML.T0042', 'AML.T0040'],
  observes: ['fingerprint'],
  params: Params,
  state: State,
  maxKeys: 64,
  idleMs: 7 * 24 * 60 * 60 * 1_000,
  scope: (o) => (o.kind === 'fingerprint' ? geometryKey(o.data) : null),
  topicKey: (scope) => scope.slice(0, scope.indexOf('/')),
  start,
})

function start(params: Params): DetectorLogic<State> {
  return {
    initial: () => ({ memory: new Memory(params.window), clusters: [], nextCluster: 1 }),
    onEvent: (state, o) => (o.kind === 'fingerprint' ? observe(state, o, params) : undefined),
  }
}

function observe(state: State, o: Observation & EventOf<'fingerprint'>, params: Params): Step<State> | undefined {
  const { memory } = state
  // The same input again is a retry: it says nothing, and would be everyone's nearest neighbour.
  if (memory.seen(o.data.exact)) return undefined
  const vector = readSketch(o.data.sketch)
  if (!memory.accepts(vector)) return undefined
  const scale = o.data.scale
  const point = pointOf(o)
  const bands = bandsOf(o.data.bands)
  const found = link(state, { point, vector, row: 0 }, bands, params.linkShare, scale)
  const { added } = memory.add(point, vector, bands)
  const query = found && memory.entry(added.seq)
  if (!query) return undefined
  const cluster = grow(state, found, query, params, scale)
  if (!due(cluster, params, query.point)) return undefined
  return { state, findings: [draft(state, cluster, o, scale)] }
}

const bandBytes = Buffer.from(new ArrayBuffer(4 * bandCount))
const bandHashes = new Uint32Array(bandBytes.buffer, bandBytes.byteOffset, bandCount)

/** Valid until the next call. What is missing is zero. */
function bandsOf(text: string): Uint32Array {
  bandBytes.fill(0, bandBytes.write(text, 'base64'))
  return bandHashes
}

function pointOf({ id, time, data }: EventOf<'fingerprint'>): Point {
  return {
    seq: 0,
    event: id,
    at: time,
    principal: data.principal,
    organization: data.organization,
    exact: data.exact,
    label: data.output.label,
    confidence: data.output.confidence,
    margin: data.output.margin,
    doubt: -Math.log(Math.max(data.confidenceTail, 1e-12)),
    strangeness: -Math.log(Math.max(data.residualTail, 1e-12)),
    residual: data.residual / data.scale,
    reference: data.referenceDistance,
    cluster: 0,
    parent: 0,
    step: 0,
    share: 0,
    children: 0,
  }
}
