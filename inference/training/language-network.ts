import { dispose, tensor1d, tensor2d } from '@tensorflow/tfjs-core'
import * as tf from '@tensorflow/tfjs-layers'
import { type LanguageShape, type LanguageWeights, matricesOf } from './language-weights.ts'

/**
 * The weights as a tfjs model: `tokens` `[n, window]`, int32, to `logits` `[n, vocabulary]` and `hidden` `[n, units]`, what
 * the last layer reads.
 */
export function languageNetwork(shape: LanguageShape, weights: LanguageWeights): tf.LayersModel {
  const tokens = tf.input({ shape: [shape.window], name: 'tokens', dtype: 'int32' })
  const embedding = tf.layers.embedding({ name: 'embedding', inputDim: shape.vocabulary, outputDim: shape.embedding })
  const embedded = apply(tf.layers.flatten({ name: 'flatten' }), apply(embedding, tokens))
  const first = apply(tf.layers.dense({ name: 'first', units: shape.hidden[0], activation: 'relu' }), embedded)
  const hidden = apply(tf.layers.dense({ name: 'hidden', units: shape.hidden[1], activation: 'relu' }), first)
  const logits = apply(tf.layers.dense({ name: 'logits', units: shape.vocabulary }), hidden)
  const model = tf.model({ inputs: tokens, outputs: [logits, hidden], name: shape.name })
  const tensors = matricesOf(weights).map(({ rows, columns, values }, i) =>
    // Biases are vectors there: every second one after the embedding.
    i > 0 && i % 2 === 0 ? tensor1d(values) : tensor2d(values, [rows, columns]),
  )
  model.setWeights(tensors)
  dispose(tensors)
  return model
}

function apply(layer: { apply(x: tf.SymbolicTensor): unknown }, x: tf.SymbolicTensor): tf.SymbolicTensor {
  const output = layer.apply(x)
  if (output instanceof tf.SymbolicTensor) return output
  throw new Error('A layer gave more than one output')
}
