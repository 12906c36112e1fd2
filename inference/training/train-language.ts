import { fileURLToPath } from 'node:url'
import '@tensorflow/tfjs-backend-wasm'
import * as tf from '@tensorflow/tfjs-core'
import { loadScripture } from '../datasets/scripture.ts'
import { vocabularySize } from '../language/vocabulary.ts'
import { writeLanguage } from './language-artifact.ts'
import { evaluate, fitLanguage, type LanguageSettings } from './language-fit.ts'
import { languageNetwork } from './language-network.ts'
import { initialWeights, type LanguageShape } from './language-weights.ts'

// Trains the demo's language model on the King James Bible and writes it to inference/models/language/1/. The same Node
// and packages give the same weights, bit for bit.

const shape: LanguageShape = { name: 'language', window: 32, vocabulary: vocabularySize, embedding: 12, hidden: [256, 192], seed: 1 }
const settings: LanguageSettings = { steps: 6_000, batch: 256, rate: 0.003, hidden: 0.1, seed: 1 }

/** Above this many bits for a held-out character, nothing is written. */
const mostBits = 2.1

await tf.setBackend('wasm')
await tf.ready()
const { fit, held } = loadScripture()
const started = performance.now()
const weights = initialWeights(shape)
say(`${shape.name}: ${fit.length} characters, ${settings.steps} steps of ${settings.batch}`)
fitLanguage(weights, fit, shape.window, settings, ({ step, bits }) => {
  const seconds = ((performance.now() - started) / 1000).toFixed(0)
  say(`  step ${step}/${settings.steps}  ${bits.toFixed(3)} bits a character  ${seconds} s`)
})
const { characters, bitsPerCharacter, top1 } = evaluate(weights, held, shape.window)
if (!(bitsPerCharacter <= mostBits)) throw new Error(`${bitsPerCharacter} bits, above ${mostBits}: nothing was written`)
const manifest = await writeLanguage(fileURLToPath(new URL('../models/', import.meta.url)), languageNetwork(shape, weights), {
  shape,
  accuracy: { set: 'King James Bible, every twentieth verse', items: characters, top1 },
  training: {
    heldOutBitsPerCharacter: bitsPerCharacter,
    set: 'King James Bible, the other verses',
    optimizer: 'adam, cosine schedule',
    loss: 'cross entropy',
    embedding: shape.embedding,
    layers: [...shape.hidden],
    initialSeed: shape.seed,
    ...settings,
  },
})
say(`${shape.name}: ${bitsPerCharacter.toFixed(3)} bits a held-out character, ${(top1 * 100).toFixed(1)} % right`)
say(`${manifest.files.weights.bytes} bytes of weights`)

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
