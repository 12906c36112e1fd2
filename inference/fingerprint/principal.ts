import { orthonormalise } from './orthonormal.ts'
import { Projection } from './projection.ts'

export interface Principal {
  readonly mean: Float64Array
  /** `[count, width]`, orthonormal rows, by falling variance (roughly: subspace iteration orders them). */
  readonly directions: Float64Array
}

/** Wider inputs are gone through again and again: their covariance would be too large. */
const widestCovariance = 1_024
const iterations = { covariance: 40, inputs: 16 } as const

/**
 * Leading principal directions by subspace iteration.
 *
 * @param inputs `[items, width]` row-major
 * @param normal standard normal numbers for the start, seeded by the caller so that a build repeats
 */
export function principalDirections(inputs: Float32Array, width: number, count: number, normal: () => number): Principal {
  const items = Math.floor(inputs.length / width)
  const directions = Float64Array.from({ length: count * width }, normal)
  orthonormalise(directions, count, width)
  if (width > widestCovariance) return iterateInputs(inputs, items, width, directions)
  const { mean, covariance } = moments(inputs, items, width)
  for (let iteration = 0; iteration < iterations.covariance; iteration++) {
    directions.set(multiply(directions, covariance, count, width))
    orthonormalise(directions, count, width)
  }
  return { mean, directions }
}

/** Multiplies by the covariance without making it: X'(X d), input by input. */
function iterateInputs(inputs: Float32Array, items: number, width: number, directions: Float64Array): Principal {
  const count = directions.length / width
  const mean = new Float64Array(width)
  for (let item = 0; item < items; item++)
    for (let i = 0; i < width; i++) mean[i] = (mean[i] as number) + (inputs[item * width + i] as number) / items
  const [centred, along, next] = [new Float64Array(width), new Float64Array(count), new Float64Array(directions.length)]
  for (let iteration = 0; iteration < iterations.inputs; iteration++) {
    next.fill(0)
    const projection = new Projection(directions, width)
    for (let item = 0; item < items; item++) {
      for (let i = 0; i < width; i++) centred[i] = (inputs[item * width + i] as number) - (mean[i] as number)
      projection.apply(centred, along)
      for (let r = 0; r < count; r++) {
        const factor = (along[r] as number) / items
        for (let i = 0; i < width; i++) next[r * width + i] = (next[r * width + i] as number) + factor * (centred[i] as number)
      }
    }
    directions.set(next)
    orthonormalise(directions, count, width)
  }
  return { mean, directions }
}

/** Zero pixels are skipped: handwriting is four-fifths background. */
function moments(inputs: Float32Array, items: number, width: number): { mean: Float64Array; covariance: Float64Array } {
  const mean = new Float64Array(width)
  const covariance = new Float64Array(width * width)
  const used = new Int32Array(width)
  for (let item = 0; item < items; item++) {
    const base = item * width
    let count = 0
    for (let i = 0; i < width; i++) if (inputs[base + i] !== 0) used[count++] = i
    for (let a = 0; a < count; a++) {
      const i = used[a] as number
      const value = inputs[base + i] as number
      mean[i] = (mean[i] as number) + value / items
      const row = i * width
      for (let b = a; b < count; b++) {
        const j = used[b] as number
        covariance[row + j] = (covariance[row + j] as number) + (value * (inputs[base + j] as number)) / items
      }
    }
  }
  for (let i = 0; i < width; i++) {
    for (let j = i; j < width; j++) {
      const value = (covariance[i * width + j] as number) - (mean[i] as number) * (mean[j] as number)
      covariance[i * width + j] = value
      covariance[j * width + i] = value
    }
  }
  return { mean, covariance }
}

function multiply(rows: Float64Array, square: Float64Array, count: number, width: number): Float64Array {
  const out = new Float64Array(count * width)
  for (let r = 0; r < count; r++) {
    const target = out.subarray(r * width, (r + 1) * width)
    for (let k = 0; k < width; k++) {
      const factor = rows[r * width + k] as number
      const source = square.subarray(k * width, (k + 1) * width)
      for (let c = 0; c < width; c++) target[c] = (target[c] as number) + factor * (source[c] as number)
    }
  }
  return out
}
