import * as tf from '@tensorflow/tfjs-layers'

export interface Network {
  /** `[n, 28, 28, 1]` to probabilities `[n, 10]`: what is saved. */
  readonly model: tf.LayersModel
  /** The same weights up to the last layer's sums, `[n, 10]`: what the loss is computed on. */
  readonly logits: tf.LayersModel
}

export interface NetworkShape {
  readonly name: string
  readonly filters: readonly [number, number]
  readonly hidden: number
  readonly seed: number
}

/** Two convolutions with pooling and two dense layers: LeNet-5 (LeCun et al., 1998) with today's activations. */
export function buildNetwork(shape: NetworkShape): Network {
  const input = tf.input({ shape: [28, 28, 1], name: 'image' })
  let seed = shape.seed
  const kernelInitializer = () => tf.initializers.heNormal({ seed: seed++ })
  let x = input
  for (const [i, filters] of shape.filters.entries()) {
    x = apply(tf.layers.conv2d({ name: `conv${i + 1}`, filters, kernelSize: 3, kernelInitializer: kernelInitializer() }), x)
    // Pooling before the rectifier gives the same values for a quarter of the work.
    x = apply(tf.layers.maxPooling2d({ name: `pool${i + 1}`, poolSize: 2 }), x)
    x = apply(tf.layers.activation({ name: `relu${i + 1}`, activation: 'relu' }), x)
  }
  x = apply(tf.layers.flatten({ name: 'flatten' }), x)
  x = apply(tf.layers.dense({ name: 'hidden', units: shape.hidden, activation: 'relu', kernelInitializer: kernelInitializer() }), x)
  const sums = apply(tf.layers.dense({ name: 'classes', units: 10, kernelInitializer: kernelInitializer() }), x)
  const probabilities = apply(tf.layers.activation({ name: 'probabilities', activation: 'softmax' }), sums)
  return {
    model: tf.model({ inputs: input, outputs: probabilities, name: shape.name }),
    logits: tf.model({ inputs: input, outputs: sums, name: `${shape.name}-logits` }),
  }
}

function apply(layer: { apply(x: tf.SymbolicTensor): unknown }, x: tf.SymbolicTensor): tf.SymbolicTensor {
  return layer.apply(x) as tf.SymbolicTensor
}
