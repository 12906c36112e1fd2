/**
 * Reading the sketches of fingerprint events (schemas/fingerprint.ts). A sketch is linear in the input, so
 * differences of sketches are sketches of differences: what lies on a line stays on a line.
 */

/** The last coordinates are random projections of what is outside the principal subspace; those before are exact. */
export const remainderDimensions = 64

/** Int16 little-endian, base64. Empty when the text is no such thing. */
export function decodeSketch(text: string): Int16Array {
  let bytes: string
  try {
    bytes = atob(text)
  } catch {
    return new Int16Array(0)
  }
  const values = new Int16Array(bytes.length >> 1)
  for (let i = 0; i < values.length; i++) values[i] = bytes.charCodeAt(2 * i) | (bytes.charCodeAt(2 * i + 1) << 8)
  return values
}

/** More than any sketch has. */
const mostDimensions = 4_096
const bytes = Buffer.from(new ArrayBuffer(2 * mostDimensions))
const values = new Int16Array(bytes.buffer, bytes.byteOffset, mostDimensions)
let read = ''
let view = values.subarray(0, 0)

/** As `decodeSketch`, ten times as fast: a view that is valid until the next call, and not to be written to. Longer ones are cut. */
export function readSketch(text: string): Int16Array {
  // One detector after the other reads the sketch of an event.
  if (text === read) return view
  const length = bytes.write(text, 'base64') >> 1
  if (length !== view.length) view = values.subarray(0, length)
  read = text
  return view
}

/** Estimated L2 distance of two inputs, in steps of the sketch (times `scale`: input units). */
export function sketchDistance(a: Int16Array, b: Int16Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] as number) - (b[i] as number)
    sum += difference * difference
  }
  return Math.sqrt(sum)
}

/** A difference of sketches, and the lengths of its two parts, in steps. */
export interface Difference {
  readonly values: Float64Array
  readonly length: number
  /** Share of the squared length inside the principal subspace: isotropic noise has principal/width, natural change far more. */
  readonly principalShare: number
}

export function difference(a: ArrayLike<number>, b: ArrayLike<number>): Difference {
  const values = new Float64Array(a.length)
  const split = Math.max(0, values.length - remainderDimensions)
  let inside = 0
  let outside = 0
  for (let i = 0; i < values.length; i++) {
    const value = (a[i] as number) - (b[i] as number)
    values[i] = value
    if (i < split) inside += value * value
    else outside += value * value
  }
  const squared = inside + outside
  return { values, length: Math.sqrt(squared), principalShare: squared > 0 ? inside / squared : 0 }
}

/** Cosine between two differences; 0 when one of them is nothing. */
export function cosine(a: Difference, b: Difference): number {
  const lengths = a.length * b.length
  if (lengths === 0) return 0
  let sum = 0
  for (let i = 0; i < a.values.length; i++) sum += (a.values[i] as number) * (b.values[i] as number)
  return sum / lengths
}
