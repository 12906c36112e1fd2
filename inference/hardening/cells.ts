import { hadamard } from '../fingerprint/hadamard.ts'
import { keystream } from '../fingerprint/keystream.ts'

/** Sums that an input is reduced to before it is looked at, and bits of a cell. */
const dimensions = 64
/** Sides of an image are cut in at most so many parts. */
const mostParts = 7
const mostChannels = 4
const rounds = 2

/** Twice 32 bits of an input, which most inputs close to it share; fewer bits, more of them. */
export type CellOf = (input: Float32Array) => readonly [number, number]

/**
 * Opens the cells of a model's inputs: signs of keyed projections of the input less its mean (Charikar, "Similarity estimation
 * techniques from rounding algorithms", 2002), by rounds of keyed signs and Hadamard transforms (Andoni et al., "Practical
 * and optimal LSH for angular distance", 2015). Nobody without the key knows where one cell ends. Images are first summed up in
 * blocks: what is drawn is in few of their frequencies, and noise is in all.
 *
 * @param shape of one input
 */
export function openCells(key: Uint8Array, shape: readonly number[]): CellOf {
  const stream = keystream(key, `cells\0${shape.join()}`)
  const { buckets, signs } = blocksOf(shape) ?? shuffled(shape, () => stream.uint32())
  const turns = Float64Array.from({ length: rounds * dimensions }, () => (stream.uint32() & 1 ? 1 : -1))
  const used = buckets.reduce((most, bucket) => Math.max(most, bucket + 1), 0)
  const sums = new Float64Array(dimensions)
  return (input) => {
    sums.fill(0)
    const width = Math.min(input.length, buckets.length)
    for (let i = 0; i < width; i++) {
      const bucket = buckets[i] as number
      sums[bucket] = (sums[bucket] as number) + (input[i] as number) * (signs[i] as number)
    }
    centre(sums, used)
    for (let round = 0, at = 0; round < rounds; round++) {
      for (let i = 0; i < dimensions; i++, at++) sums[i] = (sums[i] as number) * (turns[at] as number)
      hadamard(sums)
    }
    return [signsOf(sums, 0), signsOf(sums, dimensions / 2)]
  }
}

function centre(values: Float64Array, used: number): void {
  let mean = 0
  for (let i = 0; i < used; i++) mean += (values[i] as number) / used
  for (let i = 0; i < used; i++) values[i] = (values[i] as number) - mean
}

function signsOf(values: Float64Array, from: number): number {
  let word = 0
  for (let i = from; i < from + 32; i++) word = (word << 1) | ((values[i] as number) > 0 ? 1 : 0)
  return word >>> 0
}

interface Buckets {
  /** Where each value is added. */
  readonly buckets: Int32Array
  readonly signs: Float32Array
}

/** The block of each value of an image, `[height, width, channels]` or channels first; null for what is no image. */
function blocksOf(shape: readonly number[]): Buckets | null {
  if (shape.length !== 3) return null
  const [first = 1, second = 1, third = 1] = shape
  const parts = shape.map((size) => Math.min(mostParts, size))
  // Channels are drawn alike: they are added up where there is no room for each.
  const few = parts.reduce(product) > dimensions ? parts.map((part) => (part <= mostChannels ? 1 : part)) : parts
  const [a = 1, b = 1, c = 1] = few
  if (a * b * c > dimensions) return null
  const buckets = new Int32Array(first * second * third)
  let at = 0
  for (let i = 0; i < first; i++) {
    for (let j = 0; j < second; j++) {
      const block = Math.floor((i * a) / first) * b + Math.floor((j * b) / second)
      for (let k = 0; k < third; k++, at++) buckets[at] = block * c + Math.floor((k * c) / third)
    }
  }
  return { buckets, signs: new Float32Array(buckets.length).fill(1) }
}

/** Keyed, as far as there are more values than sums (Charikar, Chen and Farach-Colton, "Finding frequent items in data streams", 2002). */
function shuffled(shape: readonly number[], uint32: () => number): Buckets {
  const width = shape.reduce(product, 1)
  const buckets = Int32Array.from({ length: width }, (_, i) => (width <= dimensions ? i : uint32() % dimensions))
  return { buckets, signs: Float32Array.from({ length: width }, () => (uint32() & 1 ? 1 : -1)) }
}

function product(a: number, b: number): number {
  return a * b
}
