import * as tf from '@tensorflow/tfjs-core'

/**
 * Gives the wasm backend what it lacks for training convolutions of stride 1 and pooling by 2, both without padding.
 *
 * `Conv2DBackpropFilter` does not exist there. `Conv2DBackpropInput` and `MaxPoolGrad` do, as plain loops, five times
 * slower than what is written here: convolutions and matrix products, which XNNPACK is fast at, and a loop that
 * knows its window (tfjs's own also drops the gradient of a window without a positive value).
 */
export function registerGradients(): void {
  replaceKernel(tf.Conv2DBackpropFilter, (inputs, attrs) => {
    const { x, dy } = inputs as tf.Conv2DBackpropFilterInputs
    const settings = attrs as unknown as tf.Conv2DBackpropFilterAttrs
    requirePlain(settings, 1)
    return filterGradient(asTensor(x), asTensor(dy), settings.filterShape)
  })
  replaceKernel(tf.Conv2DBackpropInput, (inputs, attrs) => {
    const { dy, filter } = inputs as tf.Conv2DBackpropInputInputs
    requirePlain(attrs as unknown as tf.Conv2DBackpropInputAttrs, 1)
    return inputGradient(asTensor(dy), asTensor(filter))
  })
  replaceKernel(tf.MaxPoolGrad, (inputs, attrs) => {
    const { dy, input } = inputs as tf.MaxPoolGradInputs
    const settings = attrs as unknown as tf.MaxPoolGradAttrs
    requirePlain(settings, 2)
    return poolGradient(asTensor(dy), asTensor(input))
  })
}

type Kernel = (inputs: tf.NamedTensorInfoMap, attrs: tf.NamedAttrMap) => tf.Tensor

function replaceKernel(kernelName: string, kernel: Kernel): void {
  if (tf.getKernel(kernelName, 'wasm')) tf.unregisterKernel(kernelName, 'wasm')
  const kernelFunc: tf.KernelFunc = ({ inputs, attrs }) => tf.tidy(() => kernel(inputs, attrs ?? {}))
  tf.registerKernel({ kernelName, backendName: 'wasm', kernelFunc })
}

// Inputs of a kernel are tensors where the caller is an op, and the ops below need tensors.
function asTensor(info: tf.TensorInfo | undefined): tf.Tensor4D {
  if (!(info instanceof tf.Tensor)) throw new Error('A gradient was called from within a kernel')
  return info as tf.Tensor4D
}

function requirePlain(
  attrs: { strides: [number, number] | number; pad: unknown; filterSize?: [number, number] | number },
  stride: number,
): void {
  for (const size of [attrs.strides, attrs.filterSize ?? stride].flat()) {
    if (size !== stride) throw new Error(`Training supports this layer with steps of ${stride}, not ${size}`)
  }
  if (attrs.pad !== 'valid') throw new Error('Training supports layers without padding')
}

/** Patches of x, transposed, times dy: one matrix product of depth batch x rows x columns. */
function filterGradient(x: tf.Tensor4D, dy: tf.Tensor4D, shape: [number, number, number, number]): tf.Tensor4D {
  const [height, width, depth, filters] = shape
  const positions = dy.size / filters
  // A convolution with one filter for each place of the window copies the windows: sooner than slices and a concatenation.
  const size = height * width * depth
  const windows = tf.conv2d(x, tf.reshape(tf.eye(size), [height, width, depth, size]) as tf.Tensor4D, 1, 'valid')
  // matMul(…, transposeA) is a plain loop on wasm; an explicit transpose first is eight times faster.
  const product = tf.matMul(tf.transpose(tf.reshape(windows, [positions, size])), tf.reshape(dy, [positions, filters]))
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

/** dy at the largest of each window of 2 by 2, the last where several are; 0 elsewhere. */
function poolGradient(dy: tf.Tensor4D, input: tf.Tensor4D): tf.Tensor4D {
  const [batch, rows, columns, depth] = dy.shape
  const [, , width] = input.shape
  const values = input.dataSync<'float32'>()
  const slopes = dy.dataSync<'float32'>()
  const result = new Float32Array(input.size)
  let at = 0
  for (let row = 0; row < batch * rows; row++) {
    // Rows of an image beyond the last whole window are skipped.
    const top = (Math.floor(row / rows) * (input.shape[1] as number) + (row % rows) * 2) * width * depth
    for (let column = 0; column < columns; column++) {
      for (let c = 0; c < depth; c++, at++) {
        const first = top + column * 2 * depth + c
        result[largest(values, first, depth, width * depth)] = slopes[at] as number
      }
    }
  }
  return tf.tensor4d(result, input.shape)
}

/** Index of the last largest of the four values of a window. */
function largest(values: Float32Array, first: number, right: number, down: number): number {
  let best = first
  if ((values[first + right] as number) >= (values[best] as number)) best = first + right
  if ((values[first + down] as number) >= (values[best] as number)) best = first + down
  if ((values[first + down + right] as number) >= (values[best] as number)) best = first + down + right
  return best
}
