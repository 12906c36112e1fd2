import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { z } from 'zod'
import { classify } from '../classify.ts'
import { loadMnist, pixels, splitTraining } from '../datasets/mnist.ts'
import { Manifest } from '../manifest.ts'
import type { TensorRuntime } from '../port.ts'
import { openRuntime } from '../runtime/open.ts'
import { buildProfile, samplesOf } from './build-profile.ts'
import { decodeProfile } from './profile.ts'

// `node inference/fingerprint/write-profiles.ts [version …]`: writes profile.bin beside the weights of every
// version of the digits classifier, or of those named, from the part of the training set that it never saw.

const model = 'digits'
const batch = 500
const modelsDir = fileURLToPath(new URL('../models/', import.meta.url))
const { fit, calibration } = splitTraining(loadMnist('train'))
const runtime = await openRuntime({
  modelsDir,
  pools: [{ name: 'build', models: [model] }],
  maxQueueItems: batch,
  registry: new Registry(),
  log: pino({ level: 'silent' }),
})
for (const { version, labels, inputs } of runtime.list()) {
  const range = inputs[0]?.range ?? [0, 1]
  if (process.argv.length > 2 && !process.argv.slice(2).includes(version)) continue
  const outputs = await answers(runtime, version, labels.length)
  const bytes = buildProfile({
    shape: [pixels],
    range,
    inputs: samplesOf(fit.images, pixels),
    calibration: samplesOf(calibration.images, pixels),
    outputs,
    classes: labels.length,
  })
  // Read back, so that a profile that cannot be read fails here and not in a node.
  const { id, nearScale } = decodeProfile(bytes)
  const folder = join(modelsDir, model, version)
  writeFileSync(join(folder, 'profile.bin'), bytes)
  enterInManifest(join(folder, 'manifest.json'), bytes)
  process.stdout.write(`${model} ${version}: profile ${id}, ${bytes.length} bytes, nearest reference at ${nearScale.toFixed(2)} (median)\n`)
}
await runtime.close()

/** `[calibration.count, classes]`. */
async function answers(from: TensorRuntime, version: string, classes: number): Promise<Float32Array> {
  const outputs = new Float32Array(calibration.count * classes)
  for (let at = 0; at < calibration.count; at += batch) {
    const items = Math.min(batch, calibration.count - at)
    const input = calibration.images.subarray(at * pixels, (at + items) * pixels)
    outputs.set(await classify(from, { model, version, pool: 'build' }, input, items), at * classes)
  }
  return outputs
}

/** A profile that is not what the manifest says is refused, since a changed one could blind the detectors. */
function enterInManifest(file: string, profile: Uint8Array): void {
  const written: unknown = JSON.parse(readFileSync(file, 'utf8'))
  const { files } = Manifest.parse(written)
  const sha256 = createHash('sha256').update(profile).digest('hex')
  const changed = { ...files, profile: { path: 'profile.bin', bytes: profile.length, sha256 } }
  // What was parsed has its keys in the schema's order: the same profile leaves the file byte for byte.
  const manifest = { ...z.record(z.string(), z.unknown()).parse(written), files: changed }
  writeFileSync(file, `${JSON.stringify(manifest, null, 2)}\n`)
}
