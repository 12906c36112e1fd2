import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { before, test } from 'node:test'
import '@tensorflow/tfjs-backend-wasm'
import * as tf from '@tensorflow/tfjs-core'
import { loadScripture, parseVerses, splitVerses } from '../../../inference/datasets/scripture.ts'
import { encode } from '../../../inference/language/vocabulary.ts'
import { Manifest } from '../../../inference/manifest.ts'
import { evaluate, examplesAt, fitLanguage } from '../../../inference/training/language-fit.ts'
import { scoreOf, slopesOf } from '../../../inference/training/language-gradients.ts'
import { languageNetwork } from '../../../inference/training/language-network.ts'
import { initialWeights, type LanguageShape, matricesOf } from '../../../inference/training/language-weights.ts'

const small: LanguageShape = { name: 'small', window: 6, vocabulary: 97, embedding: 3, hidden: [10, 8], seed: 4 }
const text = 'And God said, Let there be light: and there was light.\n'

before(async () => {
  await tf.setBackend('wasm')
  await tf.ready()
})

test('the book has 31,102 verses, of which every twentieth is held out; marks are left out', () => {
  const { fit, held } = loadScripture()
  assert.equal(fit.slice(0, 55), 'In the beginning God created the heaven and the earth.\n')
  assert.equal(fit.split('\n').length - 1 + held.split('\n').length - 1, 31_102)
  assert.equal(held.split('\n').length - 1, Math.floor(31_102 / 20))
  assert.match(fit + held, /^[ -~\n]*$/)
  assert.doesNotMatch(fit + held, /[[\]#]/)
  assert.deepEqual(splitVerses(Array.from({ length: 21 }, (_, i) => String(i))).held, '19\n')
  assert.deepEqual(parseVerses('{"a":"# It [was] so."}'), ['It was so.'])
  for (const bad of ['', '[', '1', '{"a":1}']) assert.throws(() => parseVerses(bad), { code: 'DATASET_CORRUPT' })
})

test('an example is a place and the window before it, with zeros before the text', () => {
  const tokens = Int32Array.from([11, 12, 13, 14])
  const { windows, next } = examplesAt(tokens, Int32Array.from([0, 1, 3]), 3)
  assert.deepEqual([...next], [11, 12, 14])
  assert.deepEqual([...windows], [0, 0, 0, 0, 0, 11, 11, 12, 13])
})

test('the gradients agree with finite differences', () => {
  const weights = initialWeights(small)
  const examples = examplesAt(
    encode(text),
    Int32Array.from({ length: 20 }, (_, i) => i + 7),
    small.window,
  )
  const { loss, gradients } = slopesOf(weights, examples)
  assert.ok(Math.abs(loss - scoreOf(weights, examples).loss) < 1e-6)
  const slopes = matricesOf(gradients)
  for (const [m, { values }] of matricesOf(weights).entries()) {
    const own = slopes[m]?.values ?? new Float32Array()
    assert.equal(own.length, values.length)
    // The weight with the steepest slope of each matrix, and some others.
    const steepest = own.reduce((best, slope, i) => (Math.abs(slope) > Math.abs(own[best] ?? 0) ? i : best), 0)
    for (const at of [steepest, 0, values.length >> 1]) {
      const value = values[at] ?? 0
      values[at] = value + 0.01
      const above = scoreOf(weights, examples).loss
      values[at] = value - 0.01
      const below = scoreOf(weights, examples).loss
      values[at] = value
      const difference = (above - below) / 0.02
      assert.ok(Math.abs(difference - (own[at] ?? 9)) < 1e-3 + 0.02 * Math.abs(difference), `${difference}, ${own[at]} of ${m}`)
    }
  }
})

test('training learns, leaves no tensor, and twice from the same seed gives the same weights', () => {
  const once = (seed: number) => {
    const weights = initialWeights({ ...small, seed })
    const before = evaluate(weights, text, small.window).bitsPerCharacter
    fitLanguage(weights, text.repeat(4), small.window, { steps: 60, batch: 32, rate: 0.02, hidden: 0.1, seed }, () => {})
    const { bitsPerCharacter, characters } = evaluate(weights, text, small.window)
    assert.equal(characters, text.length)
    assert.ok(before > 6 && bitsPerCharacter < 3, `${before}, then ${bitsPerCharacter} bits`) // log2(97) = 6.6
    return matricesOf(weights).map(({ values }) => [...values])
  }
  const tensors = tf.memory().numTensors
  const [first, again, other] = [once(5), once(5), once(6)]
  assert.deepEqual(first, again)
  assert.notDeepEqual(first, other)
  assert.equal(tf.memory().numTensors, tensors)
})

test('the saved model computes what was trained', () => {
  const weights = initialWeights(small)
  const model = languageNetwork(small, weights)
  const examples = examplesAt(
    encode(text),
    Int32Array.from({ length: 8 }, (_, i) => i + 9),
    small.window,
  )
  const loss = tf.tidy(() => {
    const outputs = model.predict(tf.tensor2d(examples.windows, [8, small.window], 'int32'))
    const [logits, hidden] = Array.isArray(outputs) ? outputs : []
    assert.ok(logits && hidden)
    assert.deepEqual(hidden.shape, [8, 8])
    return tf.losses.softmaxCrossEntropy(tf.oneHot(tf.tensor1d(examples.next, 'int32'), 97), logits).dataSync()[0]
  })
  assert.ok(Math.abs((loss ?? 9) - scoreOf(weights, examples).loss) < 1e-5)
  model.dispose()
})

test('the committed manifest says how well it does on text that it has not seen', async () => {
  const file = new URL('../../../inference/models/language/1/manifest.json', import.meta.url)
  const manifest = Manifest.parse(JSON.parse(await readFile(file, 'utf8')))
  assert.equal(manifest.platform, 'cordon-language')
  assert.ok(manifest.platform === 'cordon-language' && manifest.files.weights.bytes <= 1_000_000)
  const bits = manifest.training?.['heldOutBitsPerCharacter']
  assert.ok(typeof bits === 'number' && bits < 2.1)
  assert.ok((manifest.accuracy?.top1 ?? 0) > 0.5)
})
