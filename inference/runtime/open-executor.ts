import { loadGraphModel } from '@tensorflow/tfjs-converter'
import * as tf from '@tensorflow/tfjs-core'
import { loadLayersModel } from '@tensorflow/tfjs-layers'
import type { ModelInfo, TensorSpec } from '../port.ts'
import type { ModelContent } from '../registry.ts'
import type { Executor } from './executor.ts'
import { openSavedModel } from './saved-model.ts'

/** Throws where the files do not make the model that is declared. */
export async function openExecutor(info: ModelInfo, content: ModelContent): Promise<Executor> {
  if (info.platform === 'tensorflow-savedmodel') return openSavedModel(info, content)
  const strings = [...info.inputs, ...info.outputs].find(({ datatype }) => datatype === 'BYTES')
  if (strings) throw new Error(`${strings.name} is of BYTES, which a SavedModel alone can have`)
  return info.platform === 'tfjs-graph' ? openGraph(info, content) : openLayers(info, content)
}

async function openLayers(info: ModelInfo, content: ModelContent): Promise<Executor> {
  const model = await loadLayersModel(tf.io.fromMemory(artifactsOf(content)))
  const inputs = places(info.inputs, model.inputNames)
  const outputs = places(info.outputs, model.outputNames)
  return {
    run: async (given) =>
      tf.tidy(() => {
        const ordered = arranged(given, inputs)
        // Not predict(): it cuts into batches of its own and adds half again to the time of one item.
        const answer = model.apply(ordered.length === 1 && ordered[0] ? ordered[0] : ordered)
        return taken(tensorsOf(answer), outputs)
      }),
    dispose: () => {
      model.dispose()
    },
  }
}

async function openGraph(info: ModelInfo, content: ModelContent): Promise<Executor> {
  const artifacts = artifactsOf(content)
  const inTurns = needsTurns(artifacts.modelTopology)
  const model = await loadGraphModel(tf.io.fromMemory(artifacts))
  const inputs = places(info.inputs, model.inputNodes)
  const outputs = places(info.outputs, model.outputNodes)
  return {
    run: async (given) => {
      const ordered = arranged(given, inputs)
      // All outputs each time: tfjs keeps a compiled graph for every set that was ever asked for.
      const answer = inTurns ? await model.executeAsync(ordered, model.outputNodes) : model.execute(ordered, model.outputNodes)
      // An output that is a constant of the graph must outlive this run.
      return taken(tensorsOf(answer), outputs).map((tensor) => (tensor.kept ? tensor.clone() : tensor))
    },
    dispose: () => model.dispose(),
  }
}

/**
 * Where each declared tensor stands among the model's own: by name where they have the same names, else in order, as the
 * names within a file are often not fit to be shown.
 */
export function places(specs: readonly TensorSpec[], names: readonly string[]): readonly number[] {
  if (specs.length !== names.length) throw new Error(`it has the tensors ${names.join(', ')}, and ${specs.length} are declared`)
  const found = specs.map(({ name }) => names.indexOf(name))
  return found.includes(-1) ? specs.map((_, i) => i) : found
}

function arranged(given: readonly tf.Tensor[], where: readonly number[]): tf.Tensor[] {
  const ordered: tf.Tensor[] = []
  for (const [i, tensor] of given.entries()) ordered[where[i] ?? i] = tensor
  return ordered
}

function taken(tensors: readonly tf.Tensor[], where: readonly number[]): tf.Tensor[] {
  return where.flatMap((at) => tensors[at] ?? [])
}

function tensorsOf(answer: unknown): tf.Tensor[] {
  const list: unknown[] = Array.isArray(answer) ? answer : [answer]
  return list.filter((tensor) => tensor instanceof tf.Tensor)
}

/** Operations that tfjs runs in turns of the event loop alone: loops, conditions, tables, answers of unknown size. */
const turnOps =
  /^(Switch|Merge|Enter|Exit|NextIteration|StatelessIf|StatelessWhile|If|While|NonMaxSuppressionV[2-5]|Where|HashTable(V2)?|LookupTable\w+)$/i

function needsTurns(topology: unknown): boolean {
  return [...JSON.stringify(topology).matchAll(/"op":"(\w+)"/g)].some(([, op]) => turnOps.test(op ?? ''))
}

function artifactsOf({ topology, weights }: ModelContent): tf.io.ModelArtifacts {
  const json: tf.io.ModelJSON = JSON.parse(Buffer.from(topology ?? []).toString('utf8'))
  return {
    modelTopology: json.modelTopology,
    ...(json.signature === undefined ? {} : { signature: json.signature }),
    weightSpecs: json.weightsManifest.flatMap((group) => group.weights),
    // A copy of its own: a view on a pooled buffer would hand tfjs its neighbours too.
    weightData: new Uint8Array(weights).buffer,
  }
}
