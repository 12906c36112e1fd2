import { fileURLToPath } from 'node:url'
import '@tensorflow/tfjs-backend-wasm'
import * as tf from '@tensorflow/tfjs-core'
import { fitCount, loadMnist, splitTraining } from '../datasets/mnist.ts'
import { writeArtifact } from './artifact.ts'
import { accuracy, type FitSettings, fit, type Progress } from './fit.ts'
import { registerGradients } from './gradients.ts'
import { buildNetwork, type NetworkShape } from './network.ts'

// `npm run train [-- version …]`: trains the demo's digit classifier, every version or those named, and writes
// it to inference/models/digits/<version>/. The same Node and packages give the same weights, bit for bit.

interface Recipe {
  readonly version: string
  readonly shape: NetworkShape
  readonly settings: FitSettings
}

/** Below this share of the test set right, nothing is written. */
const leastAccuracy = 0.985

const recipes: readonly Recipe[] = [
  {
    version: '1',
    shape: { name: 'digits', filters: [12, 24], hidden: 48, seed: 1 },
    settings: { epochs: 5, batch: 64, rate: 0.002, shift: 1, seed: 1 },
  },
  {
    version: '2',
    shape: { name: 'digits', filters: [12, 24], hidden: 64, seed: 200 },
    settings: { epochs: 6, batch: 64, rate: 0.002, shift: 1, seed: 2 },
  },
]

const wanted = process.argv.slice(2)
const unknown = wanted.find((version) => recipes.every((recipe) => recipe.version !== version))
if (unknown !== undefined)
  throw new Error(`There is no recipe for version ${unknown}; there is ${recipes.map((r) => r.version).join(', ')}`)

await tf.setBackend('wasm')
await tf.ready()
registerGradients()
const set = splitTraining(loadMnist('train')).fit
const test = loadMnist('test')
const modelsDir = fileURLToPath(new URL('../models/', import.meta.url))
for (const recipe of recipes) {
  if (wanted.length === 0 || wanted.includes(recipe.version)) await train(recipe)
}

async function train({ version, shape, settings }: Recipe): Promise<void> {
  const started = performance.now()
  const network = buildNetwork(shape)
  say(`${shape.name} ${version}: ${network.model.countParams()} parameters, ${set.count} images, ${settings.epochs} epochs`)
  fit(network, set, settings, (progress) => report(progress, settings, started))
  const top1 = accuracy(network, test)
  if (!(top1 >= leastAccuracy)) throw new Error(`Only ${top1} of the test set is right, below ${leastAccuracy}: nothing was written`)
  const manifest = await writeArtifact(modelsDir, network.model, {
    name: shape.name,
    version,
    accuracy: { set: 'MNIST test set', items: test.count, top1 },
    training: {
      set: `MNIST training set, first ${fitCount} images`,
      optimizer: 'adam, cosine schedule',
      loss: 'softmax cross entropy',
      filters: [...shape.filters],
      hidden: shape.hidden,
      initialSeed: shape.seed,
      ...settings,
    },
  })
  say(`${shape.name} ${version}: ${(top1 * 100).toFixed(2)} % of ${test.count} test images right, ${manifest.files.weights.bytes} bytes`)
  network.logits.dispose()
}

function report({ epoch, step, steps, loss }: Progress, settings: FitSettings, started: number): void {
  const seconds = ((performance.now() - started) / 1000).toFixed(0)
  say(`  epoch ${epoch}/${settings.epochs}  step ${step}/${steps}  loss ${loss.toFixed(4)}  ${seconds} s`)
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
