import * as tf from '@tensorflow/tfjs-core'
import { type LayersModel, loadLayersModel } from '@tensorflow/tfjs-layers'
import { InferenceError } from '../errors.ts'
import type { ModelInfo } from '../port.ts'
import type { ModelContent } from '../registry.ts'

/** A model in memory, on tfjs's current backend. */
export interface Network {
  readonly info: ModelInfo
  /** @param input `[items, …shape]`, row-major. Returns `[items, classes]`; leaves no tensor behind. */
  run(input: Float32Array, items: number): Float32Array
  dispose(): void
}

/** Values of one item, input or output: the product of the shape without its batch dimension. */
export function itemSize(shape: readonly number[]): number {
  return shape.slice(1).reduce((product, size) => product * size, 1)
}

/**
 * Builds a model from its files and runs one item of zeros through it. Throws `MODEL_CORRUPT` where it cannot be
 * built or does not have the input and output that the manifest declares.
 */
export async function loadNetwork(info: ModelInfo, content: ModelContent): Promise<Network> {
  let model: LayersModel | undefined
  try {
    model = await loadLayersModel(tf.io.fromMemory(artifacts(content)))
    const network = wrap(info, model)
    network.run(new Float32Array(itemSize(info.inputs[0]?.shape ?? [])), 1)
    return network
  } catch (cause) {
    model?.dispose()
    throw new InferenceError('MODEL_CORRUPT', `Building ${info.name} ${info.version} failed`, { cause })
  }
}

function wrap(info: ModelInfo, model: LayersModel): Network {
  const shape = info.inputs[0]?.shape.slice(1) ?? []
  const outputSize = itemSize(info.outputs[0]?.shape ?? [])
  return {
    info,
    run: (input, items) => {
      const output = tf.tidy(() => {
        // Not predict(): it cuts into batches of its own and adds half again to the time of one item.
        const answer = model.apply(tf.tensor(input, [items, ...shape])) as tf.Tensor | tf.Tensor[]
        if (Array.isArray(answer)) throw new Error('the model has more than one output')
        return answer.dataSync<'float32'>()
      })
      if (output.length !== items * outputSize) throw new Error(`${output.length} values came out for ${items} items of ${outputSize}`)
      return output
    },
    dispose: () => {
      model.dispose()
    },
  }
}

function artifacts({ topology, weights }: ModelContent): tf.io.ModelArtifacts {
  const json: tf.io.ModelJSON = JSON.parse(Buffer.from(topology).toString('utf8'))
  return {
    modelTopology: json.modelTopology,
    weightSpecs: json.weightsManifest.flatMap((group) => group.weights),
    // A copy of its own: a view on a pooled buffer would hand tfjs its neighbours too.
    weightData: new Uint8Array(weights).buffer,
  }
}
