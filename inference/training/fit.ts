import * as tf from '@tensorflow/tfjs-core'
import { type Mnist, pixels, side } from '../datasets/mnist.ts'
import { mulberry32 } from '../random.ts'
import type { Network } from './network.ts'

export interface FitSettings {
  readonly epochs: number
  readonly batch: number
  /** Adam's step at the start; falls to zero along a half cosine. */
  readonly rate: number
  /** Images are moved by up to this many pixels each way, drawn anew each epoch. */
  readonly shift: number
  readonly seed: number
}

export interface Progress {
  readonly epoch: number
  readonly step: number
  readonly steps: number
  /** Mean cross entropy since the last report, nats. */
  readonly loss: number
}

/** Trains in place. The same settings on the same backend give the same weights. */
export function fit(network: Network, set: Mnist, settings: FitSettings, onProgress: (progress: Progress) => void): void {
  const random = mulberry32(settings.seed)
  const order = Uint32Array.from({ length: set.count }, (_, i) => i)
  const steps = Math.floor(set.count / settings.batch)
  const optimizer = tf.train.adam(settings.rate)
  const batch = { images: new Float32Array(settings.batch * pixels), labels: new Int32Array(settings.batch) }
  for (let epoch = 0; epoch < settings.epochs; epoch++) {
    shuffle(order, random)
    let sum = 0
    let since = 0
    for (let step = 0; step < steps; step++) {
      fillBatch(batch, set, order.subarray(step * settings.batch), settings.shift, random)
      const done = (epoch * steps + step) / (settings.epochs * steps)
      setRate(optimizer, settings.rate * 0.5 * (1 + Math.cos(Math.PI * done)))
      sum += trainStep(network, optimizer, batch)
      since++
      if (since === 100 || step === steps - 1) {
        onProgress({ epoch: epoch + 1, step: step + 1, steps, loss: sum / since })
        sum = 0
        since = 0
      }
    }
  }
  optimizer.dispose()
}

/** Share of items whose most probable class is their label. */
export function accuracy(network: Network, set: Mnist): number {
  let right = 0
  for (let from = 0; from < set.count; from += 500) {
    const count = Math.min(500, set.count - from)
    const labels = tf.tidy(() => {
      const images = tf.tensor4d(set.images.slice(from * pixels, (from + count) * pixels), [count, side, side, 1])
      return tf.argMax(network.logits.predict(images) as tf.Tensor2D, 1).dataSync()
    })
    for (let i = 0; i < count; i++) if (labels[i] === set.labels[from + i]) right++
  }
  return right / set.count
}

interface Batch {
  readonly images: Float32Array
  readonly labels: Int32Array
}

function trainStep(network: Network, optimizer: tf.AdamOptimizer, batch: Batch): number {
  return tf.tidy(() => {
    const images = tf.tensor4d(batch.images.slice(), [batch.labels.length, side, side, 1])
    const labels = tf.oneHot(tf.tensor1d(batch.labels, 'int32'), 10)
    const loss = optimizer.minimize(() => tf.losses.softmaxCrossEntropy(labels, network.logits.apply(images) as tf.Tensor2D), true)
    return loss?.dataSync()[0] ?? Number.NaN
  })
}

// The optimizer declares its rate protected but reads it at each step; a schedule has no other way in.
function setRate(optimizer: tf.AdamOptimizer, rate: number): void {
  Object.assign(optimizer, { learningRate: rate })
}

function fillBatch(batch: Batch, set: Mnist, order: Uint32Array, shift: number, random: () => number): void {
  batch.images.fill(0)
  for (let i = 0; i < batch.labels.length; i++) {
    const item = order[i] as number
    batch.labels[i] = set.labels[item] as number
    const down = Math.floor(random() * (2 * shift + 1)) - shift
    const right = Math.floor(random() * (2 * shift + 1)) - shift
    const width = side - Math.abs(right)
    for (let row = Math.max(0, down); row < Math.min(side, side + down); row++) {
      const source = item * pixels + (row - down) * side + Math.max(0, -right)
      batch.images.set(set.images.subarray(source, source + width), i * pixels + row * side + Math.max(0, right))
    }
  }
}

function shuffle(order: Uint32Array, random: () => number): void {
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    const swap = order[i] as number
    order[i] = order[j] as number
    order[j] = swap
  }
}
