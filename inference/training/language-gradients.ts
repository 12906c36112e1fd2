import * as tf from '@tensorflow/tfjs-core'
import { type LanguageWeights, type Layer, type Matrix, zeros } from './language-weights.ts'

export interface Examples {
  /** `[count, window]` tokens. */
  readonly windows: Int32Array
  /** `[count]`: the token after each window. */
  readonly next: Int32Array
}

export interface Slopes {
  /** Mean cross entropy, nats. */
  readonly loss: number
  readonly gradients: LanguageWeights
}

/**
 * Loss and gradients written out. tfjs's own gradients take matrix products with a transposed first argument, a plain loop
 * on wasm and ten times slower than transposing first, and gather, whose gradient wasm lacks.
 */
export function slopesOf(weights: LanguageWeights, examples: Examples): Slopes {
  return without(() => {
    const [first, second, last] = weights.layers
    const inputs = toTensor(embed(weights.embedding, examples.windows, examples.next.length))
    const one = dense(inputs, first, 'relu')
    const two = dense(one, second, 'relu')
    const { loss, slope } = crossEntropy(dense(two, last, 'linear'), examples.next)
    const third = backward(two, last, slope)
    const middle = backward(one, second, rectified(third.inputs, two))
    const start = backward(inputs, first, rectified(middle.inputs, one))
    const embedding = zeros(weights.embedding.rows, weights.embedding.columns)
    scatter(embedding, examples.windows, start.inputs.dataSync<'float32'>())
    return { loss, gradients: { embedding, layers: [start.layer, middle.layer, third.layer] } }
  })
}

export interface Score {
  /** Mean cross entropy, nats. */
  readonly loss: number
  /** Examples whose next token is the most probable one. */
  readonly right: number
}

export function scoreOf(weights: LanguageWeights, examples: Examples): Score {
  return without(() => {
    const [first, second, last] = weights.layers
    const inputs = toTensor(embed(weights.embedding, examples.windows, examples.next.length))
    const logits = dense(dense(dense(inputs, first, 'relu'), second, 'relu'), last, 'linear')
    const best = tf.argMax(logits, 1).dataSync<'int32'>()
    return { loss: crossEntropy(logits, examples.next).loss, right: best.filter((token, i) => token === examples.next[i]).length }
  })
}

/** Without a tensor left behind. tidy() searches what it is handed back for tensors, and would look at every number. */
function without<T>(work: () => T): T {
  const results: T[] = []
  tf.tidy(() => {
    results.push(work())
  })
  const [result] = results
  if (result === undefined) throw new Error('tidy() did not run its function')
  return result
}

function embed({ columns, values }: Matrix, windows: Int32Array, count: number): Matrix {
  const embedded = zeros(count, (windows.length / count) * columns)
  for (let i = 0; i < windows.length; i++) {
    const from = (windows[i] as number) * columns
    for (let c = 0; c < columns; c++) embedded.values[i * columns + c] = values[from + c] as number
  }
  return embedded
}

/** Adds the slope of each embedded character to its row: the inverse of {@link embed}. */
function scatter({ columns, values }: Matrix, windows: Int32Array, slopes: Float32Array): void {
  for (let i = 0; i < windows.length; i++) {
    const from = (windows[i] as number) * columns
    for (let c = 0; c < columns; c++) values[from + c] = (values[from + c] as number) + (slopes[i * columns + c] as number)
  }
}

function dense(inputs: tf.Tensor2D, { kernel, bias }: Layer, activation: 'relu' | 'linear'): tf.Tensor2D {
  const outputs = tf.fused.matMul({ a: inputs, b: toTensor(kernel), bias: tf.tensor1d(bias.values.slice()), activation })
  return tf.reshape(outputs, [inputs.shape[0], kernel.columns])
}

/** Of a dense layer, from the slope of its sums: the slopes of its weights and of its inputs. */
function backward(inputs: tf.Tensor2D, layer: Layer, slope: tf.Tensor2D): { layer: Layer; inputs: tf.Tensor2D } {
  const kernel = tf.matMul(tf.transpose(inputs), slope)
  return {
    layer: { kernel: toMatrix(kernel), bias: toMatrix(tf.sum(slope, 0, true)) },
    inputs: tf.matMul(slope, tf.transpose(toTensor(layer.kernel))),
  }
}

/** What comes back through a rectifier: nothing where it gave zero. */
function rectified(slope: tf.Tensor2D, output: tf.Tensor2D): tf.Tensor2D {
  return tf.mul(slope, tf.cast(tf.greater(output, 0), 'float32'))
}

/** Mean cross entropy, and its slope: (probability - 1 where it is the next token) / count. */
function crossEntropy(logits: tf.Tensor2D, next: Int32Array): { loss: number; slope: tf.Tensor2D } {
  const [count, classes] = logits.shape
  const values = logits.dataSync<'float32'>().slice()
  let loss = 0
  for (let i = 0; i < count; i++) {
    const row = values.subarray(i * classes, (i + 1) * classes)
    const wanted = next[i] as number
    const largest = row.reduce((most, value) => Math.max(most, value), -Infinity)
    const chosen = (row[wanted] as number) - largest
    let sum = 0
    for (let c = 0; c < classes; c++) sum += row[c] = Math.exp((row[c] as number) - largest)
    loss += Math.log(sum) - chosen
    for (let c = 0; c < classes; c++) row[c] = (row[c] as number) / sum / count
    row[wanted] = (row[wanted] as number) - 1 / count
  }
  return { loss: loss / count, slope: tf.tensor2d(values, logits.shape) }
}

// A copy: the backend keeps what it is handed, and the optimizer goes on writing to the weights.
function toTensor({ rows, columns, values }: Matrix): tf.Tensor2D {
  return tf.tensor2d(values.slice(), [rows, columns])
}

function toMatrix(tensor: tf.Tensor): Matrix {
  const [rows = 1, columns = 1] = tensor.shape
  return { rows, columns, values: tensor.dataSync<'float32'>().slice() }
}
