import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { before, test } from 'node:test'
import '@tensorflow/tfjs-backend-wasm'
import * as tf from '@tensorflow/tfjs-core'
import * as fc from 'fast-check'
import { fitCount, loadMnist, type Mnist, parseIdx, pixels, splitTraining } from '../../inference/datasets/mnist.ts'
import { LayersManifest } from '../../inference/manifest.ts'
import { accuracy, fit } from '../../inference/training/fit.ts'
import { registerGradients } from '../../inference/training/gradients.ts'
import { buildNetwork } from '../../inference/training/network.ts'

let train: Mnist
before(async () => {
  await tf.setBackend('wasm')
  await tf.ready()
  registerGradients()
  train = loadMnist('train')
})

test('the training set has 60,000 images, of which the last 10,000 are for calibration', () => {
  assert.equal(train.count, 60_000)
  // The first labels of the published file.
  assert.deepEqual([...train.labels.subarray(0, 8)], [5, 0, 4, 1, 9, 2, 1, 3])
  const { fit, calibration } = splitTraining(train)
  assert.deepEqual([fit.count, calibration.count], [50_000, 10_000])
  assert.equal(calibration.labels[0], train.labels[fitCount])
  assert.equal(calibration.images.length, 10_000 * pixels)
  assert.deepEqual(calibration.images.subarray(0, pixels), train.images.subarray(fitCount * pixels, (fitCount + 1) * pixels))
  assert.ok(train.images.every((value) => value >= 0 && value <= 1))
})

test('an IDX file is taken only when its header and its length agree', () => {
  const idx = (magic: number, sizes: number[], length: number) => {
    const file = new Uint8Array(4 + 4 * sizes.length + length)
    const view = new DataView(file.buffer)
    view.setUint32(0, magic)
    for (const [i, size] of sizes.entries()) view.setUint32(4 + 4 * i, size)
    return file
  }
  assert.equal(parseIdx(idx(0x803, [2, 28, 28], 2 * pixels), [28, 28]).length, 2 * pixels)
  assert.equal(parseIdx(idx(0x801, [3], 3), []).length, 3)
  const bad: Uint8Array[] = [
    idx(0x801, [2, 28, 28], 2 * pixels), // labels' magic
    idx(0x803, [2, 28, 28], 2 * pixels - 1), // cut off
    idx(0x803, [2, 28, 28], 2 * pixels + 1), // too long
    idx(0x803, [2, 27, 28], 2 * pixels), // another shape
    idx(0x803, [0, 28, 28], 0), // empty
    idx(0x803, [4_000_000_000, 28, 28], 0), // a length that lies
    idx(0x803, [2], 0),
  ]
  for (const file of bad) assert.throws(() => parseIdx(file, [28, 28]), { code: 'DATASET_CORRUPT' })
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (file) => {
      assert.throws(() => parseIdx(file, [28, 28]), { code: 'DATASET_CORRUPT' })
    }),
    { seed: 3, numRuns: 200 },
  )
})

test('the gradients of a convolution agree with finite differences', () => {
  const x = tf.randomNormal([2, 7, 6, 3], 0, 1, 'float32', 1) as tf.Tensor4D
  const filter = tf.randomNormal([3, 3, 3, 4], 0, 1, 'float32', 2) as tf.Tensor4D
  const weight = tf.randomNormal([2, 5, 4, 4], 0, 1, 'float32', 3)
  const loss = (x: tf.Tensor, filter: tf.Tensor) => tf.sum(tf.mul(tf.conv2d(x as tf.Tensor4D, filter as tf.Tensor4D, 1, 'valid'), weight))
  const [dx, dFilter] = tf.grads(loss)([x, filter])
  assert.ok(dx && dFilter)
  const change = (tensor: tf.Tensor, at: number, by: number) => {
    const values = tensor.dataSync().slice()
    values[at] = (values[at] ?? 0) + by
    return tf.tensor(values, tensor.shape)
  }
  // The loss is linear in each argument, so a step of 1 has no error but rounding.
  for (let at = 0; at < x.size; at += 5) {
    const slope = (loss(change(x, at, 1), filter).dataSync()[0] ?? 0) - (loss(x, filter).dataSync()[0] ?? 0)
    assert.ok(Math.abs(slope - (dx.dataSync()[at] ?? Number.NaN)) < 1e-3, `input ${at}`)
  }
  for (let at = 0; at < filter.size; at++) {
    const slope = (loss(x, change(filter, at, 1)).dataSync()[0] ?? 0) - (loss(x, filter).dataSync()[0] ?? 0)
    assert.ok(Math.abs(slope - (dFilter.dataSync()[at] ?? Number.NaN)) < 1e-3, `filter ${at}`)
  }
  tf.dispose([x, filter, weight, dx, dFilter])
})

test('the gradient of pooling goes to the largest of each window, below zero too', () => {
  // Two windows side by side, and a row and a column that are in none.
  const x = tf.tensor4d([-3, -1, 0, 0, 9, -2, -4, 0, 5, 9, 9, 9, 9, 9, 9], [1, 3, 5, 1])
  const gradient = tf.grad((x) => tf.mul(tf.maxPool(x as tf.Tensor4D, 2, 2, 'valid'), tf.tensor4d([10, 20], [1, 1, 2, 1])))(x)
  assert.deepEqual([...gradient.dataSync()], [0, 10, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0])
  tf.dispose([x, gradient])
})

test('training learns, and twice from the same seed gives the same weights', async () => {
  const few = { images: train.images.subarray(0, 1_280 * pixels), labels: train.labels.subarray(0, 1_280), count: 1_280 }
  const unseen = { images: train.images.subarray(59_000 * pixels), labels: train.labels.subarray(59_000), count: 1_000 }
  const once = (seed: number) => {
    const network = buildNetwork({ name: 'small', filters: [4, 8], hidden: 16, seed })
    const losses: number[] = []
    fit(network, few, { epochs: 3, batch: 32, rate: 0.004, shift: 1, seed }, ({ loss }) => losses.push(loss))
    const weights = network.model.getWeights().map((weight) => [...weight.dataSync()])
    const right = accuracy(network, unseen)
    network.model.dispose()
    return { weights, losses, right }
  }
  const [first, again, other] = [once(5), once(5), once(6)]
  assert.deepEqual(first, again)
  assert.notDeepEqual(first.weights, other.weights)
  assert.ok((first.losses.at(-1) ?? 9) < (first.losses[0] ?? 0))
  assert.ok(first.right > 0.7, `${first.right} of unseen images right`)
})

test('the committed manifests are valid and small', async () => {
  let bytes = 0
  for (const version of ['1', '2']) {
    const file = new URL(`../../inference/models/digits/${version}/manifest.json`, import.meta.url)
    const manifest = LayersManifest.parse(JSON.parse(await readFile(file, 'utf8')))
    assert.ok((manifest.accuracy?.top1 ?? 0) >= 0.985)
    assert.equal(manifest.accuracy?.items, 10_000)
    bytes += manifest.files.weights.bytes + manifest.files.topology.bytes
  }
  assert.ok(bytes < 1_000_000, `${bytes} bytes`)
})
