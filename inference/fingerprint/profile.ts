import { createHash } from 'node:crypto'
import { FingerprintError } from './errors.ts'
import { reductionOf } from './reduction.ts'
import { type TailTable, tailLevels } from './tail.ts'

/** What ordinary inputs of one predicted class look like. */
export interface ClassProfile {
  /** Mean of the class in principal coordinates, `[principal]`. */
  readonly mean: Float32Array
  /** Inverse Cholesky factor of the class's covariance, lower triangle by rows: it turns an offset into standard units. */
  readonly whitening: Float32Array
  /** L2 distance from the principal subspace. */
  readonly residual: TailTable
  /** −ln(top-1 confidence). */
  readonly doubt: TailTable
  /** Mahalanobis distance from the class's mean. */
  readonly distance: TailTable
}

/**
 * The reference profile: what the ordinary inputs of one model version look like, learnt from data that the
 * model was not trained on. It holds projections of reference inputs to the principal directions, never inputs.
 */
export interface ReferenceProfile {
  /** First 16 hex digits of the file's SHA-256; `profile` in fingerprint events. */
  readonly id: string
  /** Values in one input. */
  readonly width: number
  /** Dimensions of one input, and the side of the blocks that it is pooled over before it meets the directions; 1 is not at all. */
  readonly shape: readonly number[]
  readonly block: number
  /** Principal directions. */
  readonly principal: number
  /** Bounds of the input's values. */
  readonly range: readonly [number, number]
  /** Median distance of an ordinary input to its nearest reference input, in input units (L2). */
  readonly nearScale: number
  readonly mean: Float32Array
  /** `[principal, values of a pooled input]` as stored: each row of int16 times its entry in `directionScale`. */
  readonly directions: Int16Array
  readonly directionScale: Float32Array
  readonly classes: readonly ClassProfile[]
  /** `[references, principal]` principal coordinates; times `referenceScale` they are in input units. */
  readonly references: Int16Array
  readonly referenceScale: number
  /** Distance of each reference input from the principal subspace. */
  readonly referenceResidual: Float32Array
  /** `[classes + 1]`: references are ordered by predicted class, those of class c from `classStart[c]` on. */
  readonly classStart: Int32Array
}

const magic = 'CORDONRP'
/** Version 2 says shape and block; without pooling the file is of version 1, as it always was. */
const pooledVersion = 2
const version = 1
const digestBytes = 32

class Writer {
  readonly #parts: Buffer[] = []
  add(array: Float32Array | Int16Array | Int32Array): void {
    this.#parts.push(Buffer.from(array.buffer.slice(array.byteOffset, array.byteOffset + array.byteLength)))
  }
  text(text: string): void {
    this.#parts.push(Buffer.from(text, 'latin1'))
  }
  bytes(): Buffer {
    return Buffer.concat(this.#parts)
  }
}

class Reader {
  readonly #bytes: Uint8Array
  #at: number
  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes
    this.#at = at
  }
  #take(length: number): ArrayBuffer {
    if (this.#at + length > this.#bytes.length) throw new FingerprintError('PROFILE_MALFORMED', 'The reference profile is cut short.')
    this.#at += length
    return Uint8Array.from(this.#bytes.subarray(this.#at - length, this.#at)).buffer
  }
  floats(count: number): Float32Array {
    return new Float32Array(this.#take(4 * count))
  }
  shorts(count: number): Int16Array {
    return new Int16Array(this.#take(2 * count))
  }
  integers(count: number): Int32Array {
    return new Int32Array(this.#take(4 * count))
  }
  get rest(): number {
    return this.#bytes.length - this.#at
  }
}

/** The file's bytes, digest included. */
export function encodeProfile(profile: Omit<ReferenceProfile, 'id'>): Uint8Array {
  const out = new Writer()
  out.text(magic)
  const references = profile.referenceResidual.length
  const pooled = profile.block > 1
  out.add(Int32Array.of(pooled ? pooledVersion : version, profile.width, profile.principal, profile.classes.length, references))
  if (pooled) out.add(Int32Array.of(profile.block, profile.shape.length, ...profile.shape))
  out.add(Float32Array.of(profile.range[0], profile.range[1], profile.nearScale, profile.referenceScale))
  out.add(profile.mean)
  out.add(profile.directionScale)
  out.add(profile.directions)
  for (const each of profile.classes) {
    out.add(each.mean)
    out.add(each.whitening)
    for (const table of [each.residual, each.doubt, each.distance]) {
      out.add(table.knots)
      out.add(Float32Array.of(table.decay))
    }
  }
  out.add(profile.classStart)
  out.add(profile.referenceResidual)
  out.add(profile.references)
  const body = out.bytes()
  return Buffer.concat([body, createHash('sha256').update(body).digest()])
}

/** @throws FingerprintError `PROFILE_MALFORMED`, `PROFILE_UNSUPPORTED` */
export function decodeProfile(bytes: Uint8Array): ReferenceProfile {
  const body = bytes.subarray(0, Math.max(0, bytes.length - digestBytes))
  if (Buffer.from(body.subarray(0, 8)).toString('latin1') !== magic)
    throw new FingerprintError('PROFILE_MALFORMED', 'This is no reference profile; build one with `npm run train`.')
  const digest = createHash('sha256').update(body).digest()
  if (!digest.equals(bytes.subarray(body.length)))
    throw new FingerprintError('PROFILE_MALFORMED', 'The reference profile is damaged: its digest does not match its content.')
  const reader = new Reader(body, 8)
  const [found = 0, width = 0, principal = 0, classCount = 0, references = 0] = reader.integers(5)
  if (found !== version && found !== pooledVersion)
    throw new FingerprintError(
      'PROFILE_UNSUPPORTED',
      `Reference profile of version ${found}; this release reads ${version} and ${pooledVersion}.`,
    )
  if (!plausible(width, principal, classCount, references))
    throw new FingerprintError('PROFILE_MALFORMED', 'The reference profile declares impossible sizes.')
  const { shape, block } = found === pooledVersion ? readPooling(reader, width) : { shape: [width], block: 1 }
  const { reduced } = reductionOf(shape, block)
  if (principal > reduced) throw new FingerprintError('PROFILE_MALFORMED', 'The reference profile declares impossible sizes.')
  const [low = 0, high = 0, nearScale = 0, referenceScale = 0] = reader.floats(4)
  const mean = reader.floats(width)
  const directionScale = reader.floats(principal)
  const directions = reader.shorts(principal * reduced)
  const classes = Array.from({ length: classCount }, () => readClass(reader, principal))
  const classStart = reader.integers(classCount + 1)
  const referenceResidual = reader.floats(references)
  const profile: ReferenceProfile = {
    id: Buffer.from(digest).toString('hex').slice(0, 16),
    width,
    shape,
    block,
    principal,
    range: [low, high],
    nearScale,
    mean,
    directions,
    directionScale,
    classes,
    references: reader.shorts(references * principal),
    referenceScale,
    referenceResidual,
    classStart,
  }
  if (reader.rest !== 0) throw new FingerprintError('PROFILE_MALFORMED', 'The reference profile has bytes after its end.')
  return profile
}

function readPooling(reader: Reader, width: number): { shape: readonly number[]; block: number } {
  const [block = 0, rank = 0] = reader.integers(2)
  const shape = rank > 0 && rank <= 8 ? [...reader.integers(rank)] : []
  const plausible = block > 1 && block <= 1_024 && shape.every((size) => size > 0) && shape.reduce((a, b) => a * b, 1) === width
  if (!plausible || shape.length === 0)
    throw new FingerprintError('PROFILE_MALFORMED', 'The reference profile declares an impossible shape.')
  return { shape, block }
}

function readClass(reader: Reader, principal: number): ClassProfile {
  const mean = reader.floats(principal)
  const whitening = reader.floats((principal * (principal + 1)) / 2)
  const table = (): TailTable => {
    const knots = reader.floats(tailLevels.length)
    return { knots, decay: reader.floats(1)[0] ?? 0 }
  }
  return { mean, whitening, residual: table(), doubt: table(), distance: table() }
}

function plausible(width: number, principal: number, classes: number, references: number): boolean {
  return (
    width > 0 &&
    width <= 2 ** 20 &&
    principal > 0 &&
    principal <= 256 &&
    principal <= width &&
    classes > 0 &&
    classes <= 4_096 &&
    references >= 0 &&
    references <= 2 ** 20
  )
}
