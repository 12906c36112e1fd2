import { z } from 'zod'
import type { DataOf } from '../../schemas/index.ts'

/**
 * What was asked, small enough for a million principals and mergeable without loss.
 *
 * `sample` splits all distinct inputs over {@link buckets} by their keyed hash and keeps of each bucket the one whose hash is
 * least, with what was seen of it (one-permutation min-wise hashing: Li, Owen & Zhang, "One Permutation Hashing", 2012). The least
 * hashes tell how many distinct inputs there were, and the inputs they belong to are a fair sample of them: repeats change
 * nothing, and nobody without the key chooses what is sampled. `cells` counts the cells of the sketch that ordinary inputs lay in,
 * so that variations of one input count little (HyperLogLog: Flajolet et al. 2007). Both merge by the larger of two registers.
 */
export const Summary = z.object({
  /** By bucket 0 (nothing yet) or `closeness · 2^24 + traits`, closeness being 28 bits of the hash counted from the top. */
  sample: z.array(z.int().min(0)).max(64),
  /** Registers of 5 bits, six to a number. */
  cells: z.array(z.int().min(0)).max(8),
  /** Keys of the fingerprint rotate: cells of another epoch are other cells. */
  epoch: z.int().min(0),
  /** The most cells that were counted in an earlier epoch. */
  carried: z.number().min(0),
  /** All answers, repeats too. */
  answers: z.int().min(0),
})
export type Summary = z.infer<typeof Summary>

export type Data = DataOf<'fingerprint'>

export const buckets = 32
const cellWords = 6
const registersPerWord = 6
export const cellRegisters = cellWords * registersPerWord
/** From this level on an input is not ordinary: a tail of 0.025. */
export const oddLevel = 3
const cellBits = 10
const traitRange = 2 ** 24
const hashRange = 2 ** 28

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const sextets = Uint8Array.from({ length: 128 }, (_, code) => Math.max(0, alphabet.indexOf(String.fromCharCode(code))))

export function blank(): Summary {
  return { sample: new Array<number>(buckets).fill(0), cells: new Array<number>(cellWords).fill(0), epoch: 0, carried: 0, answers: 0 }
}

/** Takes one answer into account; false when it tells nothing new. */
export function add(summary: Summary, data: Data): boolean {
  summary.answers++
  if (data.epoch !== summary.epoch) {
    summary.carried = Math.max(summary.carried, cellsOf(summary))
    summary.cells.fill(0)
    summary.epoch = data.epoch
  }
  const low = hexOf(data.exact, 8)
  const hash = mixed(hexOf(data.exact, 0) ^ Math.imul(low, 0x9e3779b1)) >>> 4
  const bucket = (mixed(low ^ 0x2545f491) >>> 0) % buckets
  const traits = traitsOf(data)
  const register = (hashRange - hash) * traitRange + traits
  const nearer = register > (summary.sample[bucket] as number)
  if (nearer) summary.sample[bucket] = register
  const ordinary = ((traits >>> 8) & 15) <= oddLevel
  return (ordinary && visit(summary.cells, data.sketch)) || nearer
}

/** Puts several together: the same numbers as if one principal had asked it all. */
export function merged(summaries: Iterable<Summary>): Summary {
  const all = blank()
  for (const each of summaries) {
    all.answers += each.answers
    for (let i = 0; i < buckets; i++) all.sample[i] = Math.max(all.sample[i] as number, each.sample[i] ?? 0)
    // The first of them says which epoch it is.
    if (all.answers === each.answers) all.epoch = each.epoch
    if (each.epoch === all.epoch) {
      for (let w = 0; w < cellWords; w++) all.cells[w] = larger(all.cells[w] as number, each.cells[w] ?? 0)
      all.carried = Math.max(all.carried, each.carried)
    } else {
      const newer = each.epoch > all.epoch
      all.carried = Math.max(all.carried, each.carried, cellsOf(newer ? all : each))
      if (newer) {
        all.epoch = each.epoch
        for (let w = 0; w < cellWords; w++) all.cells[w] = each.cells[w] ?? 0
      }
    }
  }
  return all
}

function larger(a: number, b: number): number {
  let out = 0
  for (let r = 0; r < registersPerWord; r++) out |= Math.max((a >>> (5 * r)) & 31, (b >>> (5 * r)) & 31) << (5 * r)
  return out
}

/** Whether the input's cell raised a register. */
function visit(cells: number[], sketch: string): boolean {
  const hash = mixed(cellOf(sketch) + 1)
  const at = (hash >>> 0) % cellRegisters
  const rank = Math.min(31, Math.clz32(mixed(hash ^ 0x85ebca6b)) + 1)
  const word = Math.floor(at / registersPerWord)
  const shift = 5 * (at % registersPerWord)
  const old = cells[word] as number
  if (((old >>> shift) & 31) >= rank) return false
  cells[word] = (old & ~(31 << shift)) | (rank << shift)
  return true
}

/**
 * Signs of the first coordinates of the sketch. The key turned the axes at random, so they are random hyperplanes through the
 * middle of the model's traffic (Charikar, "Similarity estimation techniques from rounding algorithms", 2002), and which ones
 * nobody without the key knows. Read off the base64 in place: coordinate i is int16 little-endian, its sign in byte 2i + 1.
 */
function cellOf(sketch: string): number {
  let code = 0
  for (let i = 0; i < cellBits; i++) {
    const byte = 2 * i + 1
    const place = byte % 3
    const sextet = sextets[sketch.charCodeAt(4 * Math.floor(byte / 3) + place) & 127] as number
    code |= ((sextet >>> (5 - 2 * place)) & 1) << i
  }
  return code
}

/** Cells visited by ordinary inputs, a HyperLogLog estimate with linear counting while few registers are set. */
export function cellsOf({ cells, carried }: Pick<Summary, 'cells' | 'carried'>): number {
  let sum = 0
  let empty = 0
  for (let at = 0; at < cellRegisters; at++) {
    const rank = ((cells[Math.floor(at / registersPerWord)] as number) >>> (5 * (at % registersPerWord))) & 31
    sum += 2 ** -rank
    if (rank === 0) empty++
  }
  const raw = (0.7213 / (1 + 1.079 / cellRegisters)) * (cellRegisters ** 2 / sum)
  const found = raw < 2.5 * cellRegisters && empty > 0 ? cellRegisters * Math.log(cellRegisters / empty) : raw
  return Math.max(carried, found)
}

/** Distinct inputs: the least hashes are exponential with rate inputs/buckets, cut off at 1. Relative error 1/√buckets. */
export function distinctOf({ sample, answers }: Pick<Summary, 'sample' | 'answers'>): number {
  let sum = 0
  let filled = 0
  for (const register of sample) {
    if (register > 0) filled++
    sum += register > 0 ? 1 - Math.floor(register / traitRange) / hashRange : 1
  }
  if (filled === 0) return 0
  const rate = (filled === buckets ? filled - 1 : filled) / Math.max(sum, 1e-9)
  return Math.max(filled, Math.min(answers, rate * buckets))
}

/** What was seen of one sampled input, as levels. */
export interface Traits {
  /** 2 the whole answer, 1 rounded, 0 the label alone. */
  readonly told: number
  readonly label: number
  /** How far outside the ordinary, 0 to 15 in units of 0.4 decades of the smaller tail. */
  readonly odd: number
  /** Square root of the answer's entropy, 0 to 255 for 0 to √2 nats. */
  readonly doubt: number
}

function traitsOf(data: Data): number {
  const told = data.hardening === 'none' ? 2 : data.hardening === 'rounded' ? 1 : 0
  const label = Math.min(data.output.label, 255)
  const odd = level(-2.5 * Math.log10(Math.max(1e-9, Math.min(data.residualTail, data.classTail))), 15)
  const doubt = level(255 * Math.sqrt(data.output.entropy / 2), 255)
  return (((told * 256 + label) * 16 + odd) * 256 + doubt) & (traitRange - 1)
}

function level(value: number, most: number): number {
  return value > 0 ? Math.min(most, Math.floor(value)) : 0
}

export function traitsAt(register: number): Traits {
  const packed = register % traitRange
  return { doubt: packed & 255, odd: (packed >>> 8) & 15, label: (packed >>> 12) & 255, told: (packed >>> 20) & 3 }
}

/** Eight hex digits as 32 bits, without a substring. */
function hexOf(text: string, from: number): number {
  let value = 0
  for (let i = from; i < from + 8; i++) {
    const code = text.charCodeAt(i)
    value = (value << 4) | (code >= 97 ? code - 87 : code - 48) // NaN beyond the end counts for nothing
  }
  return value
}

/** The finaliser of MurmurHash3 (Appleby, public domain). */
function mixed(value: number): number {
  let h = value ^ (value >>> 16)
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return h ^ (h >>> 16)
}
