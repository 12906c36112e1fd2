import { mulberry32 } from '../random.ts'

export interface LanguageShape {
  readonly name: string
  /** Characters that the model sees. */
  readonly window: number
  readonly vocabulary: number
  /** Values that a character becomes. */
  readonly embedding: number
  readonly hidden: readonly [number, number]
  readonly seed: number
}

/** A matrix `[rows, columns]`, or a vector of one row, row-major. */
export interface Matrix {
  readonly rows: number
  readonly columns: number
  readonly values: Float32Array
}

/**
 * Weights of a feed-forward language model (Bengio et al., 2003): an embedding `[vocabulary, embedding]`, then kernel
 * and bias of three dense layers. Gradients have the same form.
 */
export interface LanguageWeights {
  readonly embedding: Matrix
  readonly layers: readonly [Layer, Layer, Layer]
}

export interface Layer {
  readonly kernel: Matrix
  readonly bias: Matrix
}

/** Uniform with the variance of He et al. (2015) for kernels, zeros for biases; the last layer starts small. */
export function initialWeights(shape: LanguageShape): LanguageWeights {
  const random = mulberry32(shape.seed)
  const uniform = (rows: number, columns: number, bound: number) => {
    const matrix = zeros(rows, columns)
    for (let i = 0; i < matrix.values.length; i++) matrix.values[i] = (2 * random() - 1) * bound
    return matrix
  }
  const layer = (inputs: number, units: number, gain: number): Layer => ({
    kernel: uniform(inputs, units, gain * Math.sqrt(6 / inputs)),
    bias: zeros(1, units),
  })
  const [first, second] = shape.hidden
  return {
    embedding: uniform(shape.vocabulary, shape.embedding, 1),
    layers: [layer(shape.window * shape.embedding, first, 1), layer(first, second, 1), layer(second, shape.vocabulary, 0.1)],
  }
}

export function zeros(rows: number, columns: number): Matrix {
  return { rows, columns, values: new Float32Array(rows * columns) }
}

/** All of them, in the order in which the layers of the tfjs model have them. */
export function matricesOf({ embedding, layers }: LanguageWeights): readonly Matrix[] {
  return [embedding, ...layers.flatMap(({ kernel, bias }) => [kernel, bias])]
}
