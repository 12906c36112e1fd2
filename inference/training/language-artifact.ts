import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LayersModel } from '@tensorflow/tfjs-layers'
import { describe, serialise } from './artifact.ts'
import type { LanguageShape } from './language-weights.ts'

/** Writes `model.json`, `weights.bin` and `manifest.json` into `<modelsDir>/<name>/1/`. */
export async function writeLanguage(
  modelsDir: string,
  model: LayersModel,
  about: {
    readonly shape: LanguageShape
    readonly accuracy: { readonly set: string; readonly items: number; readonly top1: number }
    readonly training: Readonly<Record<string, number | string | number[]>>
  },
) {
  const { shape, accuracy, training } = about
  const { topology, weights } = await serialise(model)
  const manifest = {
    name: shape.name,
    version: '1',
    platform: 'cordon-language',
    inputs: [{ name: 'tokens', datatype: 'INT32', shape: [-1, shape.window] }],
    outputs: [
      { name: 'logits', datatype: 'FP32', shape: [-1, shape.vocabulary] },
      { name: 'hidden', datatype: 'FP32', shape: [-1, shape.hidden[1]] },
    ],
    range: [0, shape.vocabulary - 1],
    files: { topology: describe('model.json', topology), weights: describe('weights.bin', weights) },
    accuracy,
    training,
  }
  const folder = join(modelsDir, shape.name, manifest.version)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, manifest.files.topology.path), topology)
  writeFileSync(join(folder, manifest.files.weights.path), weights)
  writeFileSync(join(folder, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`)
  return manifest
}
