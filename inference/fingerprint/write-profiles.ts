import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { classify } from '../classify.ts'
import { loadMnist, pixels, splitTraining } from '../datasets/mnist.ts'
import type { TensorRuntime } from '../port.ts'
import { openRuntime } from '../runtime/open.ts'
import { buildProfile, samplesOf } from './build-profile.ts'
import { writeProfile } from './profile-file.ts'

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
  const { id, nearScale } = writeProfile(join(modelsDir, model, version), bytes)
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
