import * as tf from '@tensorflow/tfjs-core'
import { InferenceError } from '../errors.ts'
import type { ModelInfo, TensorSpec } from '../port.ts'
import type { ModelContent } from '../registry.ts'
import { dtypeOf, emptyOf, rowSize } from './datatypes.ts'
import { openExecutor } from './open-executor.ts'
import type { Block, Values } from './protocol.ts'

/** A model in memory, on tfjs's current backend. */
export interface Network {
  readonly info: ModelInfo
  /** Of its weights, as far as tfjs or its files tell. */
  readonly bytes: number
  /**
   * @param inputs in the order of the model's
   * @param wanted positions of the outputs that are asked for
   * @returns those, in that order; leaves no tensor behind
   */
  run(inputs: readonly Block[], wanted: readonly number[]): Promise<Block[]>
  dispose(): void
}

/**
 * Builds a model from its files, and runs one item of zeros and a full batch through it, so that no first request pays for
 * it. Throws `MODEL_CORRUPT` where it cannot be built or does not have the inputs and outputs that its manifest declares,
 * `BACKEND_UNAVAILABLE` where its platform needs another backend.
 */
export async function loadNetwork(info: ModelInfo, content: ModelContent, maxItems: number): Promise<Network> {
  const before = tf.memory().numBytes
  const network = await build(info, content, () => tf.memory().numBytes - before)
  try {
    await warmUp(network, maxItems)
    return network
  } catch (cause) {
    network.dispose()
    throw corrupt(info, cause)
  }
}

async function build(info: ModelInfo, content: ModelContent, heldNow: () => number): Promise<Network> {
  try {
    const executor = await openExecutor(info, content)
    const saved = content.saved.reduce((sum, file) => sum + file.bytes.length, 0)
    return {
      info,
      bytes: Math.max(heldNow(), saved, content.weights.length),
      run: async (inputs, wanted) => {
        const given = inputs.map((block, i) => toTensor(info.inputs[i], block))
        try {
          return await read(await executor.run(given), wanted, info.outputs, inputs[0]?.shape[0] ?? 0)
        } finally {
          tf.dispose(given)
        }
      },
      dispose: () => executor.dispose(),
    }
  } catch (cause) {
    throw cause instanceof InferenceError ? cause : corrupt(info, cause)
  }
}

function corrupt({ name, version }: ModelInfo, cause: unknown): InferenceError {
  const why = cause instanceof Error ? cause.message.slice(0, 300) : 'unknown'
  return new InferenceError('MODEL_CORRUPT', `Building ${name} ${version} failed: ${why}`, { cause })
}

function toTensor(spec: TensorSpec | undefined, { data, shape }: Block): tf.Tensor {
  // tfjs takes encoded strings as they are, which its types leave out for a list of more than one dimension.
  return tf.tensor(data as tf.TensorLike, [...shape], dtypeOf(spec?.datatype ?? 'FP32'))
}

/** Disposes of the tensors, whatever comes. */
async function read(tensors: tf.Tensor[], wanted: readonly number[], specs: readonly TensorSpec[], items: number): Promise<Block[]> {
  try {
    const blocks: Block[] = []
    for (const at of wanted) {
      const [tensor, spec] = [tensors[at], specs[at]]
      if (tensor === undefined || spec === undefined) throw new Error(`it has ${tensors.length} outputs, fewer than declared`)
      check(tensor, spec, items)
      blocks.push({ data: await dataOf(tensor), shape: tensor.shape })
    }
    return blocks
  } finally {
    tf.dispose(tensors)
  }
}

async function dataOf(tensor: tf.Tensor): Promise<Values> {
  if (tensor.dtype !== 'string') return tensor.data<'float32' | 'int32' | 'bool'>()
  const strings = await tensor.bytes()
  return Array.isArray(strings) ? strings : [strings]
}

function check({ dtype, shape }: tf.Tensor, spec: TensorSpec, items: number): void {
  const sizes = spec.shape.map((size, i) => (i === 0 ? items : size))
  const fits = sizes.length === shape.length && sizes.every((size, i) => size < 0 || size === shape[i])
  if (fits && dtype === dtypeOf(spec.datatype)) return
  throw new Error(`${spec.name} came out as ${dtype} of [${shape.join(', ')}] for ${items} items, which its manifest does not say`)
}

async function warmUp(network: Network, maxItems: number): Promise<void> {
  const { inputs, outputs } = network.info
  const all = outputs.map((_, i) => i)
  const free = inputs.some(({ shape }) => shape.slice(1).some((size) => size < 0))
  for (const items of new Set([1, maxItems])) {
    const zeros = inputs.map((spec) => zerosOf(spec, items))
    try {
      await network.run(zeros, all)
    } catch (error) {
      // A free dimension of 1 may be too small for the model: then the first request shows whether it runs.
      if (!free) throw error
    }
  }
}

function zerosOf({ datatype, shape }: TensorSpec, items: number): Block {
  const sizes = [items, ...shape.slice(1).map((size) => Math.max(1, size))]
  const length = items * rowSize(sizes)
  const data = datatype === 'BYTES' ? Array.from({ length }, () => new Uint8Array(0)) : emptyOf(datatype, length)
  return { data, shape: sizes }
}
