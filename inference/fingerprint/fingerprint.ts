import { createHmac } from 'node:crypto'
import { type Fingerprinter, type Impression, summarise } from '../port.ts'
import { FingerprintError } from './errors.ts'
import { mahalanobis, residualOf, workingDirections } from './geometry.ts'
import { deriveKey } from './keystream.ts'
import { nearestReference } from './nearest-reference.ts'
import { decodeProfile, type ReferenceProfile } from './profile.ts'
import { Projection } from './projection.ts'
import { reduce, reductionOf } from './reduction.ts'
import { openSketcher } from './sketch.ts'
import { upperTail } from './tail.ts'

export interface FingerprinterOptions {
  /** The bytes of `profile.bin` beside the model's weights. */
  readonly profile: Uint8Array
  /** 32 secret bytes, the same on every node that serves the model. */
  readonly key: Uint8Array
  /** Counts rotations of the key. */
  readonly epoch: number
}

/**
 * Opens a fingerprinter for one model version.
 *
 * Buffers are reused within a call, and not from one to the next: inputs may be begun before earlier ones have their answers.
 *
 * @throws FingerprintError `PROFILE_MALFORMED`, `PROFILE_UNSUPPORTED`, `KEY_LENGTH`; from `begin`, `INPUT_LENGTH`, `INPUT_NOT_FINITE`
 */
export function openFingerprinter({ profile: bytes, key, epoch }: FingerprinterOptions): Fingerprinter {
  if (key.length !== 32) throw new FingerprintError('KEY_LENGTH', `A fingerprint key has 32 bytes; this one has ${key.length}.`)
  const profile = decodeProfile(bytes)
  const directions = workingDirections(profile)
  const reduction = reductionOf(profile.shape, profile.block)
  const principal = new Projection(directions, reduction.reduced)
  const sketcher = openSketcher(profile, reduction, directions, { key, epoch })
  const referenceDistance = nearestReference(profile)
  const exactKey = deriveKey(key, `exact\0${epoch}`)
  const centred = new Float64Array(profile.width)
  const pooled = reduction.cells === null ? centred : new Float64Array(reduction.reduced)
  const coordinates = new Float64Array(profile.principal)

  const begin = (input: Float32Array): Impression => {
    if (input.length !== profile.width)
      throw new FingerprintError('INPUT_LENGTH', `The profile describes inputs of ${profile.width} values; this one has ${input.length}.`)
    const squared = centre(input, profile.mean, centred)
    if (pooled !== centred) reduce(reduction, centred, pooled)
    principal.apply(pooled, coordinates)
    if (!Number.isFinite(squared))
      throw new FingerprintError('INPUT_NOT_FINITE', 'The input has values that are no numbers, or too large to measure.')
    const residual = residualOf(squared, coordinates)
    const { sketch, bands } = sketcher.sketch(centred, coordinates)
    const exact = exactHash(exactKey, input)
    const distance = brief(referenceDistance(coordinates, residual))
    // Other inputs come before the answer does.
    const own = coordinates.slice()
    return (output) => {
      const summary = summarise(output)
      return {
        profile: profile.id,
        epoch,
        exact,
        sketch,
        scale: sketcher.scale,
        bands,
        residual: brief(residual),
        ...tailsOf(profile, own, residual, summary.label, summary.confidence),
        referenceDistance: distance,
        output: {
          label: summary.label,
          confidence: Math.round(summary.confidence * 1e7) / 1e7,
          margin: Math.round(summary.margin * 1e7) / 1e7,
          entropy: brief(summary.entropy),
        },
      }
    }
  }
  return { begin, fingerprint: (input, output) => begin(input)(output) }
}

/** Writes `input − mean` and returns its squared length. */
function centre(input: Float32Array, mean: Float32Array, out: Float64Array): number {
  let squared = 0
  for (let i = 0; i < out.length; i++) {
    const value = (input[i] as number) - (mean[i] as number)
    out[i] = value
    squared += value * value
  }
  return squared
}

function tailsOf(profile: ReferenceProfile, coordinates: Float64Array, residual: number, label: number, confidence: number) {
  const own = profile.classes[label]
  if (own === undefined) return { residualTail: 1, confidenceTail: 1, classTail: 1 }
  return {
    residualTail: brief(upperTail(own.residual, residual)),
    confidenceTail: brief(upperTail(own.doubt, doubtOf(confidence))),
    classTail: brief(upperTail(own.distance, mahalanobis(coordinates, own.mean, own.whitening))),
  }
}

/** Four digits after the first: the estimates are good to two, and every digit is sent a million times. */
function brief(value: number): number {
  return Number(value.toPrecision(5))
}

/** −ln(confidence): its upper tail is the confidence's lower tail. */
export function doubtOf(confidence: number): number {
  return -Math.log(Math.max(confidence, 1e-6))
}

function exactHash(key: Uint8Array, input: Float32Array): string {
  const bytes = new Uint8Array(input.buffer, input.byteOffset, input.byteLength)
  return createHmac('sha256', key).update(bytes).digest('hex').slice(0, 16)
}
