import * as tf from '@tensorflow/tfjs-core'
import { side } from '../../inference/datasets/mnist.ts'
import type { Random } from '../attacks/random.ts'
import { stacked } from './leakage-victims.ts'

const filters = 32
const window = 5
const cells = 4
/** Against the mean diagonal. */
const ridges = [1e-3, 2e-2]
export const features = filters * cells * cells + 1

/**
 * A student that is trained in one step: random convolutions, rectified and pooled, and ridge regression on them (Coates & Ng,
 * "Learning feature representations with k-means", 2012; Jarrett et al. 2009). With as few answers as a thief has it does about as well
 * as a convolutional network that was trained for minutes, and every number of answers on the way is had from the same sums.
 */
export class RidgeStudent {
  readonly #kernel: tf.Tensor4D
  readonly #bias: tf.Tensor1D
  readonly #classes: number
  readonly #kinds: number
  readonly #gram = new Float64Array(features * features)
  readonly #cross: Float64Array

  constructor(classes: number, kinds: number, random: Random) {
    this.#classes = classes
    this.#kinds = kinds
    const taps = Float32Array.from({ length: window * window * filters }, () => random.normal() / window)
    // Without a mean: a filter answers to strokes and edges, not to how much ink there is.
    for (let f = 0; f < filters; f++) {
      let sum = 0
      for (let t = 0; t < window * window; t++) sum += taps[t * filters + f] ?? 0
      for (let t = 0; t < window * window; t++) taps[t * filters + f] = (taps[t * filters + f] ?? 0) - (0.7 * sum) / (window * window)
    }
    this.#kernel = tf.tensor4d(taps, [window, window, 1, filters])
    this.#bias = tf.tensor1d(Float32Array.from({ length: filters }, () => 0.1 * random.normal() - 0.1))
    this.#cross = new Float64Array(features * classes * kinds)
  }

  /** `[n, features]`, the last one constant. */
  featuresOf(images: readonly Float32Array[]): Float32Array {
    return tf
      .tidy(() => {
        const x = tf.tensor4d(stacked(images), [images.length, side, side, 1])
        const pooled = tf.avgPool(tf.relu(tf.add(tf.conv2d(x, this.#kernel, 1, 'valid'), this.#bias) as tf.Tensor4D), 6, 6, 'valid')
        const flat = tf.reshape(pooled, [images.length, features - 1])
        return tf.concat([flat, tf.mul(tf.ones([images.length, 1]), 0.1)], 1).dataSync() as Float32Array
      })
      .slice()
  }

  /** @param targets `[n, kinds, classes]` */
  learn(images: readonly Float32Array[], targets: Float32Array): void {
    const x = this.featuresOf(images)
    tf.tidy(() => {
      const rows = tf.tensor2d(x, [images.length, features])
      const gram = tf.matMul(rows, rows, true).dataSync()
      const cross = tf.matMul(rows, tf.tensor2d(targets, [images.length, this.#classes * this.#kinds]), true).dataSync()
      for (let i = 0; i < gram.length; i++) this.#gram[i] = (this.#gram[i] as number) + (gram[i] as number)
      for (let i = 0; i < cross.length; i++) this.#cross[i] = (this.#cross[i] as number) + (cross[i] as number)
    })
  }

  /**
   * Share of `judged`, `[m, features]`, that is given its label, by kind of target; with the ridge that does best, as a
   * thief would find it out.
   */
  agreement(judged: Float32Array, labels: readonly number[]): number[] {
    let trace = 0
    for (let i = 0; i < features; i++) trace += this.#gram[i * features + i] as number
    const best = new Array<number>(this.#kinds).fill(0)
    for (const ridge of ridges) {
      const weights = solve(this.#gram, this.#cross, this.#classes * this.#kinds, (ridge * trace) / features)
      const answered = this.#answers(judged, weights)
      for (let k = 0; k < this.#kinds; k++) {
        let right = 0
        for (let i = 0; i < labels.length; i++) if (answered[i * this.#kinds + k] === labels[i]) right++
        best[k] = Math.max(best[k] ?? 0, right / labels.length)
      }
    }
    return best
  }

  #answers(judged: Float32Array, weights: Float64Array): Int32Array {
    const m = judged.length / features
    return tf.tidy(() => {
      const columns = tf.tensor2d(Float32Array.from(weights), [features, this.#classes * this.#kinds])
      const scores = tf.matMul(tf.tensor2d(judged, [m, features]), columns)
      return Int32Array.from(tf.argMax(tf.reshape(scores, [m, this.#kinds, this.#classes]), 2).dataSync())
    })
  }

  dispose(): void {
    this.#kernel.dispose()
    this.#bias.dispose()
  }
}

/** `(A + λI)⁻¹ B` by Cholesky; A `[features, features]`, B `[features, columns]`. */
function solve(a: Float64Array, b: Float64Array, columns: number, lambda: number): Float64Array {
  const n = features
  const l = new Float64Array(n * n)
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a[i * n + j] as number
      for (let k = 0, p = i * n, q = j * n; k < j; k++) sum -= (l[p + k] as number) * (l[q + k] as number)
      l[i * n + j] = i === j ? Math.sqrt(Math.max(sum + lambda, 1e-9)) : sum / (l[j * n + j] as number)
    }
  }
  const x = b.slice()
  for (let c = 0; c < columns; c++) {
    for (let i = 0; i < n; i++) {
      let sum = x[i * columns + c] as number
      for (let k = 0; k < i; k++) sum -= (l[i * n + k] as number) * (x[k * columns + c] as number)
      x[i * columns + c] = sum / (l[i * n + i] as number)
    }
    for (let i = n - 1; i >= 0; i--) {
      let sum = x[i * columns + c] as number
      for (let k = i + 1; k < n; k++) sum -= (l[k * n + i] as number) * (x[k * columns + c] as number)
      x[i * columns + c] = sum / (l[i * n + i] as number)
    }
  }
  return x
}
