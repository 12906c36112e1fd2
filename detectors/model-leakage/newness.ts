import type { DataOf } from '../../schemas/index.ts'

/** Coordinates of the sketch that are compared, and of how many inputs they are kept, four to a number, in 13 bits each. */
const compared = 12
export const wordsPerInput = compared / 4
export const remembered = 2
const coordinates = new Int16Array(compared)
const low13 = 8_191
/** Ordinary inputs lie at least this far from each other, in those coordinates, against the distance to the nearest reference input. */
const usual = 0.75
/** Planes of a cell. */
const cellBits = 10

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const sextets = Uint8Array.from({ length: 128 }, (_, code) => Math.max(0, alphabet.indexOf(String.fromCharCode(code))))

/**
 * How far an input lies from those just before it, against what is usual around it, 0 to 1: what steps through variations of
 * one input tells little that the first has not told. The input is the one that was decoded last; it
 * becomes the latest of `recent`.
 */
export function newnessOf(recent: number[], { scale, referenceDistance }: DataOf<'fingerprint'>): number {
  let nearest = Number.POSITIVE_INFINITY
  for (let from = 0; from < recent.length; from += wordsPerInput)
    if (recent[from] !== 0) nearest = Math.min(nearest, squaredTo(recent, from))
  if (nearest === 0) return 0
  recent.copyWithin(wordsPerInput, 0)
  for (let w = 0; w < wordsPerInput; w++) recent[w] = pair(4 * w) * 2 ** 26 + pair(4 * w + 2)
  return Math.min(1, (8 * Math.sqrt(nearest) * scale) / (usual * Math.max(referenceDistance, 1e-9)))
}

function pair(at: number): number {
  return ((((coordinates[at] as number) >> 3) + 4_096) << 13) | (((coordinates[at + 1] as number) >> 3) + 4_096)
}

function squaredTo(recent: readonly number[], from: number): number {
  let squared = 0
  for (let w = 0; w < wordsPerInput; w++) {
    const word = recent[from + w] as number
    const high = Math.floor(word / 2 ** 26)
    squared += pairSquared(high, 4 * w) + pairSquared(word - high * 2 ** 26, 4 * w + 2)
  }
  return squared
}

function pairSquared(packed: number, at: number): number {
  const [mine, other] = [pair(at) | 0, packed | 0]
  return ((mine >>> 13) - (other >>> 13)) ** 2 + ((mine & low13) - (other & low13)) ** 2
}

/** The first coordinates of a sketch, int16 little-endian in base64, three in eight letters; 0 beyond its end. */
export function decode(sketch: string): void {
  for (let i = 0; i < compared; i += 3) {
    const [a, b] = [bitsAt(sketch, (8 * i) / 3), bitsAt(sketch, (8 * i) / 3 + 4)]
    coordinates[i] = (a >>> 16) | (a & 0xff00)
    coordinates[i + 1] = (a & 255) | ((b >>> 8) & 0xff00)
    coordinates[i + 2] = ((b >>> 8) & 255) | ((b & 255) << 8)
  }
}

/** Four letters of base64 as 24 bits. */
function bitsAt(text: string, at: number): number {
  let bits = 0
  for (let i = at; i < at + 4; i++) bits = (bits << 6) | (sextets[text.charCodeAt(i) & 127] as number)
  return bits
}

/**
 * Signs of the first coordinates of the sketch. The key turned the axes at random, so they are random hyperplanes through the
 * middle of the model's traffic (Charikar, "Similarity estimation techniques from rounding algorithms", 2002), and which ones
 * nobody without the key knows.
 */
export function cell(): number {
  let code = 0
  for (let i = 0; i < cellBits; i++) if ((coordinates[i] as number) < 0) code |= 1 << i
  return code
}
