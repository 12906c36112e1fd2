import { hadamardAt } from './hadamard.ts'
import { type Keystream, keystream } from './keystream.ts'
import { orthonormalise } from './orthonormal.ts'
import type { ReferenceProfile } from './profile.ts'
import { Projection } from './projection.ts'
import { expand, type Reduction } from './reduction.ts'

/** Keyed coordinates of the remainder outside the principal subspace. */
export const remainderDimensions = 64
/** Coordinates of the widest transform. */
const mostBuckets = 4_096
const bandCount = 8
const projectionsPerBand = 3
/** Width of a band's cells against the usual distance to the nearest reference input: near-duplicates share most bands. */
const cellShare = 0.5

export interface Sketcher {
  /** Input units (L2) per step of the int16 coordinates. */
  readonly scale: number
  /**
   * @param centred input less the profile's mean, `[width]`
   * @param coordinates its principal coordinates
   * @returns base64 of int16 little-endian coordinates (principal ones first), and of the uint32 band hashes
   */
  sketch(centred: Float64Array, coordinates: Float64Array): { sketch: string; bands: string }
}

/**
 * A linear sketch whose Euclidean distances estimate those of the inputs: the principal coordinates, rotated
 * by the key (their distances are exact), then a keyed subsampled Hadamard projection of the remainder (their
 * squared distances are unbiased, relative standard error √(2/64) of the remainder's share).
 *
 * The bands are p-stable locality-sensitive hashes of it (Datar et al., "Locality-sensitive hashing scheme
 * based on p-stable distributions", 2004).
 */
export function openSketcher(
  profile: ReferenceProfile,
  reduction: Reduction,
  directions: Float64Array,
  { key, epoch }: { readonly key: Uint8Array; readonly epoch: number },
): Sketcher {
  const { principal, width } = profile
  const random = (purpose: string) => keystream(key, `${purpose}\0${profile.id}\0${epoch}`)
  const rotation = Float64Array.from({ length: principal * principal }, normalsOf(random('rotation')))
  orthonormalise(rotation, principal, principal)
  const turned = new Projection(rotation, principal)
  const remainder = openRemainder(width, random('remainder'))
  const shadow = new Projection(shadowOf(remainder, reduction, directions, principal), principal)
  const total = principal + remainderDimensions
  const hashBands = openBands(total, profile.nearScale * cellShare, random('bands'))

  // Half of the range's diagonal; few digits, since every event carries it.
  const scale = Number((((profile.range[1] - profile.range[0]) * Math.sqrt(width)) / 2 / 32_767).toPrecision(4))
  const values = new Float64Array(total)
  const own = values.subarray(0, principal)
  const rest = values.subarray(principal)
  const cast = new Float64Array(remainderDimensions)
  const steps = new DataView(new ArrayBuffer(2 * total))
  const bytes = Buffer.from(steps.buffer)
  const sketch = (centred: Float64Array, coordinates: Float64Array) => {
    turned.apply(coordinates, own)
    remainder(centred, rest)
    shadow.apply(coordinates, cast)
    for (let r = 0; r < remainderDimensions; r++) rest[r] = (rest[r] as number) - (cast[r] as number)
    for (let i = 0; i < total; i++) {
      const step = Math.round((values[i] as number) / scale)
      steps.setInt16(2 * i, Math.max(-32_768, Math.min(32_767, step)), true)
    }
    return { sketch: bytes.toString('base64'), bands: hashBands(values) }
  }
  return { scale, sketch }
}

function normalsOf(stream: Keystream): () => number {
  return () => stream.normal()
}

/**
 * Random signs, Hadamard transform, a random choice of coordinates; squared lengths are kept on average. Wide inputs are
 * first added up, with random signs, in as many buckets as the transform takes (Charikar, Chen and Farach-Colton, "Finding
 * frequent items in data streams", 2002): what changes one value still changes all coordinates alike.
 */
function openRemainder(width: number, stream: Keystream): (x: Float64Array, out: Float64Array) => void {
  const size = Math.min(mostBuckets, Math.max(2 ** Math.ceil(Math.log2(width)), remainderDimensions))
  const signs = Float64Array.from({ length: width }, () => (stream.uint32() & 1 ? 1 : -1) / Math.sqrt(remainderDimensions))
  const all = Int32Array.from({ length: size }, (_, i) => i)
  for (let i = 0; i < remainderDimensions; i++) {
    const j = i + (stream.uint32() % (size - i))
    const chosen = all[j] as number
    all[j] = all[i] as number
    all[i] = chosen
  }
  const rows = all.slice(0, remainderDimensions)
  const buckets = width > size ? Int32Array.from({ length: width }, () => stream.uint32() % size) : null
  const buffer = new Float64Array(size)
  return (x, out) => {
    if (buckets === null) for (let i = 0; i < width; i++) buffer[i] = (x[i] as number) * (signs[i] as number)
    buffer.fill(0, buckets === null ? width : 0)
    if (buckets !== null) gather(x, signs, buckets, buffer)
    hadamardAt(buffer, rows, out)
  }
}

function gather(x: Float64Array, signs: Float64Array, buckets: Int32Array, out: Float64Array): void {
  for (let i = 0; i < buckets.length; i++) {
    const bucket = buckets[i] as number
    out[bucket] = (out[bucket] as number) + (x[i] as number) * (signs[i] as number)
  }
}

/** What the principal directions cast on the remainder's projection, `[remainder, principal]`: subtracted, only the remainder is left. */
function shadowOf(
  remainder: (x: Float64Array, out: Float64Array) => void,
  reduction: Reduction,
  directions: Float64Array,
  principal: number,
): Float64Array {
  const { width, reduced } = reduction
  const shadow = new Float64Array(remainderDimensions * principal)
  const column = new Float64Array(remainderDimensions)
  const direction = new Float64Array(width)
  for (let i = 0; i < principal; i++) {
    expand(reduction, directions.subarray(i * reduced, (i + 1) * reduced), direction)
    remainder(direction, column)
    for (let r = 0; r < remainderDimensions; r++) shadow[r * principal + i] = column[r] as number
  }
  return shadow
}

function openBands(dimensions: number, cell: number, stream: Keystream): (values: Float64Array) => string {
  const count = bandCount * projectionsPerBand
  const directions = Float32Array.from({ length: count * dimensions }, () => stream.normal() / cell)
  const offsets = Float64Array.from({ length: count }, () => stream.uint32() / 2 ** 32)
  const projection = new Projection(directions, dimensions, offsets)
  const sums = new Float64Array(count)
  const out = Buffer.alloc(4 * bandCount)
  return (values) => {
    projection.apply(values, sums)
    for (let band = 0; band < bandCount; band++) {
      let hash = 0x811c9dc5 ^ band
      for (let p = band * projectionsPerBand; p < (band + 1) * projectionsPerBand; p++) hash = mixed(hash, sums[p] as number)
      out.writeUInt32LE(hash >>> 0, 4 * band)
    }
    return out.toString('base64')
  }
}

function mixed(hash: number, sum: number): number {
  const next = Math.imul(hash ^ Math.floor(sum), 0x01000193)
  return next ^ (next >>> 15)
}
