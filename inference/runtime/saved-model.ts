import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { InferenceError } from '../errors.ts'
import type { ModelInfo } from '../port.ts'
import type { ModelContent } from '../registry.ts'
import type { Executor } from './executor.ts'

/** Of tfjs-node, which is an optional package. */
interface SavedModel {
  predict(inputs: tf.NamedTensorMap): unknown
  dispose(): void
}

interface Loader {
  loadSavedModel(path: string, tags: readonly string[], signature: string): Promise<SavedModel>
}

/**
 * A TensorFlow SavedModel, which the native backends alone can run. Its declared tensors have the names of its signature.
 *
 * Throws `BACKEND_UNAVAILABLE` on any other backend.
 */
export async function openSavedModel(info: ModelInfo, content: ModelContent): Promise<Executor> {
  const loader = await findLoader()
  if (loader === undefined) {
    throw new InferenceError(
      'BACKEND_UNAVAILABLE',
      `${info.name} ${info.version} is a SavedModel, which the tensorflow backends alone run, not ${tf.getBackend()}: ` +
        'install one with `npm run setup:tensorflow`, or convert the model with tensorflowjs_converter to platform tfjs-graph',
    )
  }
  const model = await load(loader, content)
  return {
    run: async (given) => {
      const feeds: tf.NamedTensorMap = {}
      for (const [i, { name }] of info.inputs.entries()) {
        const tensor = given[i]
        if (tensor) feeds[name] = tensor
      }
      const answer = model.predict(feeds)
      return info.outputs.map(({ name }) => outputOf(answer, name))
    },
    dispose: () => model.dispose(),
  }
}

function outputOf(answer: unknown, name: string): tf.Tensor {
  const tensor: unknown =
    typeof answer === 'object' && answer !== null ? Object.entries(answer).find(([key]) => key === name)?.[1] : undefined
  if (tensor instanceof tf.Tensor) return tensor
  throw new Error(`its signature has no output ${name}`)
}

/** TensorFlow reads from disk: it gets the bytes that were compared with the manifest, in a folder of their own. */
async function load(loader: Loader, { saved, signature }: ModelContent): Promise<SavedModel> {
  const folder = await mkdtemp(join(tmpdir(), 'cordon-savedmodel-'))
  try {
    for (const { path, bytes } of saved) {
      await mkdir(dirname(join(folder, path)), { recursive: true })
      await writeFile(join(folder, path), bytes)
    }
    return await loader.loadSavedModel(folder, ['serve'], signature ?? 'serving_default')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function findLoader(): Promise<Loader | undefined> {
  if (tf.getBackend() !== 'tensorflow') return undefined
  for (const name of ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node']) {
    const module: unknown = await import(name).catch(() => undefined)
    const node = property(property(module, 'default'), 'node') ?? property(module, 'node')
    if (isLoader(node)) return node
  }
  return undefined
}

function property(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined
}

function isLoader(value: unknown): value is Loader {
  return typeof property(value, 'loadSavedModel') === 'function'
}
