import * as tf from '@tensorflow/tfjs-core'

/**
 * Gives the wasm backend what it lacks for training convolutions of stride 1 without padding.
 *
 * `Conv2DBackpropFilter` does not exist there; `Conv2DBackpropInput` does, but as a plain loop, six times slower
 * than its forward convolution. Both are written here as the products that XNNPACK is fast at.
 */
export function registerConvolutionGradients(): void {
  tf.registerKernel({
    kernelName: tf.Conv2DBackpropFilter,
    backendName: 'wasm',
    kernelFunc: ({ inputs, attrs }) => {
      const { x, dy } = inputs as tf.Conv2DBackpropFilterInputs
      const settings = attrs as unknown as tf.Conv2DBackpropFilterAttrs
      requirePlain(settings)
      return tf.tidy(() => filterGradient(asTensor(x), asTensor(dy), settings.filterShape))
    },
  })
  tf.unregisterKernel(tf.Conv2DBackpropInput, 'wasm')
  tf.registerKernel({
    kernelName: tf.Conv2DBackpropInput,
    backendName: 'wasm',
    kernelFunc: ({ inputs, attrs }) => {
      const { dy, filter } = inputs as tf.Conv2DBackpropInputInputs
      requirePlain(attrs as unknown as tf.Conv2DBackpropInputAttrs)
      return tf.tidy(() => inputGradient(asTensor(dy), asTensor(filter)))
    },
  })
}

// Inputs of a kernel are tensors where the caller is an op, and the ops below need tensors.
function asTensor(info: tf.TensorInfo | undefined): tf.Tensor4D {
  if (!(info instanceof tf.Tensor)) throw new Error('A convolution gradient was called from within a kernel')
  return info as tf.Tensor4D
}

function requirePlain(attrs: { strides: [number, number] | number; pad: unknown }): void {
  const [rows, columns] = typeof attrs.strides === 'number' ? [attrs.strides, attrs.strides] : attrs.strides
  if (rows !== 1 || columns !== 1 || attrs.pad !== 'valid') throw new Error('Training supports convolutions of stride 1, padding valid')
}

/** Patches of x, transposed, times dy: one matrix product of depth batch x rows x columns. */
function filterGradient(x: tf.Tensor4D, dy: tf.Tensor4D, shape: [number, number, number, number]): tf.Tensor4D {
  const [height, width, depth, filters] = shape
  const [batch, rows, columns] = dy.shape
  const shifted: tf.Tensor4D[] = []
  for (let i = 0; i < height; i++) {
    for (let j = 0; j < width; j++) shifted.push(tf.slice(x, [0, i, j, 0], [batch, rows, columns, depth]))
  }
  const patches = tf.reshape(tf.concat(shifted, 3), [batch * rows * columns, height * width * depth])
  // matMul(…, transposeA) is a plain loop on wasm; an explicit transpose first is eight times faster.
  const product = tf.matMul(tf.transpose(patches), tf.reshape(dy, [batch * rows * columns, filters]))
  return tf.reshape(product, shape)
}

/** The full convolution of dy with the filter turned by half a turn. */
function inputGradient(dy: tf.Tensor4D, filter: tf.Tensor4D): tf.Tensor4D {
  const [height, width] = filter.shape
  const around: [number, number] = [height - 1, height - 1]
  const beside: [number, number] = [width - 1, width - 1]
  const padded = tf.pad(dy, [[0, 0], around, beside, [0, 0]])
  const turned = tf.transpose(tf.reverse(filter, [0, 1]), [0, 1, 3, 2])
  return tf.conv2d(padded, turned, 1, 'valid')
}
