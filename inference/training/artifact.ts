import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { io } from '@tensorflow/tfjs-core'
import type { LayersModel } from '@tensorflow/tfjs-layers'
import { LayersManifest } from '../manifest.ts'

/**
 * Writes `model.json` (tfjs layers format), `weights.bin` (little-endian float32) and `manifest.json` into
 * `<modelsDir>/<name>/<version>/`.
 */
export async function writeArtifact(
  modelsDir: string,
  model: LayersModel,
  about: Pick<LayersManifest, 'name' | 'version' | 'accuracy' | 'training'>,
): Promise<LayersManifest> {
  const { topology, weights } = await serialise(model)
  const manifest = LayersManifest.parse({
    name: about.name,
    version: about.version,
    platform: 'tfjs-layers',
    inputs: [{ name: 'image', datatype: 'FP32', shape: [-1, 28, 28, 1] }],
    outputs: [{ name: 'probabilities', datatype: 'FP32', shape: [-1, 10] }],
    range: [0, 1],
    labels: ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'],
    files: { topology: describe('model.json', topology), weights: describe('weights.bin', weights) },
    accuracy: about.accuracy,
    training: about.training,
  })
  const folder = join(modelsDir, about.name, about.version)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, manifest.files.topology.path), topology)
  writeFileSync(join(folder, manifest.files.weights.path), weights)
  writeFileSync(join(folder, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`)
  return manifest
}

export async function serialise(model: LayersModel): Promise<{ topology: Uint8Array; weights: Uint8Array }> {
  let saved: io.ModelArtifacts | undefined
  const handler: io.SaveHandler = async (artifacts) => {
    saved = artifacts
    return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } }
  }
  await model.save(io.withSaveHandler(handler))
  if (!saved?.weightData || !saved.weightSpecs) throw new Error('tfjs saved a model without weights')
  const topology = {
    format: 'layers-model',
    modelTopology: saved.modelTopology,
    weightsManifest: [{ paths: ['weights.bin'], weights: saved.weightSpecs }],
  }
  return {
    topology: Buffer.from(`${JSON.stringify(topology)}\n`),
    weights: new Uint8Array(io.CompositeArrayBuffer.join(saved.weightData)),
  }
}

export function describe(path: string, content: Uint8Array) {
  return { path, bytes: content.length, sha256: createHash('sha256').update(content).digest('hex') }
}
