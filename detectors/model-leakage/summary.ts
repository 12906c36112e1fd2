import { z } from 'zod'
import type { DataOf } from '../../schemas/index.ts'
import { cell, decode, newnessOf, remembered, wordsPerInput } from './newness.ts'

/** Levels of oddness over which the weight of an ordinary input falls to 1/e: 0.8 decades of the tail. */
const close = 2
/** By level of oddness: how much an input counts as an ordinary one. */
export const ordinaryWeight = Float64Array.from({ length: 16 }, (_, odd) => Math.exp(-odd / close))
/** Sums are kept in these parts of one. */
export const parts = 256

/**
 * What was asked, small enough for a million principals and mergeable.
 *
 * `sample` splits all distinct inputs over {@link buckets} by their keyed hash and keeps of each bucket the one whose hash is
 * least, with what was seen of it (one-permutation min-wise hashing: Li, Owen & Zhang, "One Permutation Hashing", 2012). The least
 * hashes tell how many distinct inputs there were, and the inputs they belong to are a fair sample of them: repeats change
 * nothing, and nobody without the key chooses what is sampled. `cells` counts the cells of the sketch that ordinary inputs lay in,
 * so that variations of one input count little (HyperLogLog: Flajolet et al. 2007). Both merge by the larger of two registers.
 * `fresh` and `strange` count every input by how far it lies from the ones just before it, so that a sweep around an input
 * counts for little more than the input.
 */
export const Summary = z.object({
  /** By bucket 0 (nothing yet) or `closeness · 2^14 + traits`, closeness being 28 bits of the hash counted from the top. */
  sample: z.array(z.int().min(0)).max(64),
  /** Registers of 5 bits, six to a number. */
  cells: z.array(z.int().min(0)).max(8),
  /** Keys of the fingerprint rotate: cells of another epoch are other cells. */
  epoch: z.int().min(0),
  /** The most cells that were counted in an earlier epoch. */
  carried: z.number().min(0),
  /** Coordinates of the last inputs, the latest first, each {@link wordsPerInput} numbers; zeros where there is none. */
  recent: z.array(z.int().min(0)).max(16),
  /** Sums of newness, as ordinary inputs and as others, and of the former times the root of the answer's entropy; in {@link parts}. */
  fresh: z.int().min(0),
  strange: z.int().min(0),
  doubt: z.int().min(0),
  /** All answers, repeats too. */
  answers: z.int().min(0),
  /** A bit for each label that was among them, the last of {@link mostSeen} for all from there on. */
  seen: z.int().min(0),
})
export type Summary = z.infer<typeof Summary>

export type Data = DataOf<'fingerprint'>

export const buckets = 32
const cellWords = 6
const registersPerWord = 6
export const cellRegisters = cellWords * registersPerWord
/** From this level on an input is not ordinary: a tail of 0.025. */
export const oddLevel = 3
const traitRange = 2 ** 14
const hashRange = 2 ** 28
export const mostSeen = 48

export function blank(): Summary {
  const zeros = (count: number) => new Array<number>(count).fill(0)
  return {
    sample: zeros(buckets),
    cells: zeros(cellWords),
    epoch: 0,
    carried: 0,
    recent: zeros(remembered * wordsPerInput),
    fresh: 0,
    strange: 0,
    doubt: 0,
    answers: 0,
    seen: 0,
  }
}

/** Takes one answer into account; false when it tells nothing new. */
export function add(summary: Summary, data: Data): boolean {
  summary.answers++
  see(summary, Math.min(data.output.label, mostSeen - 1))
  if (data.epoch !== summary.epoch) turn(summary, data.epoch)
  const low = hexOf(data.exact, 8)
  const hash = mixed(hexOf(data.exact, 0) ^ Math.imul(low, 0x9e3779b1)) >>> 4
  const bucket = (mixed(low ^ 0x2545f491) >>> 0) % buckets
  const odd = oddnessOf(data)
  const register = (hashRange - hash) * traitRange + traitsOf(data, odd)
  const nearer = register > (summary.sample[bucket] as number)
  if (nearer) summary.sample[bucket] = register
  decode(data.sketch)
  const newness = newnessOf(summary.recent, data)
  const weight = newness * (ordinaryWeight[odd] as number)
  summary.fresh += Math.round(parts * weight)
  summary.strange += Math.round(parts * (newness - weight))
  summary.doubt += Math.round(parts * weight * Math.sqrt(data.output.entropy))
  return (odd <= oddLevel && visit(summary.cells)) || nearer
}

function see(summary: Summary, label: number): void {
  if (!hasSeen(summary.seen, label)) summary.seen += 2 ** label
}

function hasSeen(seen: number, label: number): boolean {
  return Math.floor(seen / 2 ** label) % 2 === 1
}

/** How many labels were among the answers, and one more than the highest; both up to {@link mostSeen}. */
export function labelsOf({ seen }: Pick<Summary, 'seen'>): { readonly different: number; readonly highest: number } {
  let [different, highest] = [0, 0]
  for (let label = 0; label < mostSeen; label++) {
    if (!hasSeen(seen, label)) continue
    different++
    highest = label + 1
  }
  return { different, highest }
}

/** Another key: nothing of the sketch can be compared any more. */
function turn(summary: Summary, epoch: number): void {
  summary.carried = Math.max(summary.carried, cellsOf(summary))
  summary.cells.fill(0)
  summary.recent.fill(0)
  summary.epoch = epoch
}

/** Puts several together: as if one principal had asked it all, though each one's inputs were only compared with their own. */
export function merged(summaries: Iterable<Summary>): Summary {
  const all = blank()
  for (const each of summaries) {
    all.answers += each.answers
    all.fresh += each.fresh
    all.strange += each.strange
    all.doubt += each.doubt
    for (let label = 0; label < mostSeen; label++) if (hasSeen(each.seen, label)) see(all, label)
    for (let i = 0; i < buckets; i++) all.sample[i] = Math.max(all.sample[i] as number, each.sample[i] ?? 0)
    // The first of them says which epoch it is.
    if (all.answers === each.answers) all.epoch = each.epoch
    if (each.epoch > all.epoch) turn(all, each.epoch)
    if (each.epoch === all.epoch) {
      for (let w = 0; w < cellWords; w++) all.cells[w] = larger(all.cells[w] as number, each.cells[w] ?? 0)
      all.carried = Math.max(all.carried, each.carried)
      all.recent = each.recent.slice()
    } else all.carried = Math.max(all.carried, each.carried, cellsOf(each))
  }
  return all
}

function larger(a: number, b: number): number {
  let out = 0
  for (let r = 0; r < registersPerWord; r++) out |= Math.max((a >>> (5 * r)) & 31, (b >>> (5 * r)) & 31) << (5 * r)
  return out
}

/** Whether the input's cell raised a register. */
function visit(cells: number[]): boolean {
  const hash = mixed(cell() + 1)
  const at = (hash >>> 0) % cellRegisters
  const rank = Math.min(31, Math.clz32(mixed(hash ^ 0x85ebca6b)) + 1)
  const word = Math.floor(at / registersPerWord)
  const shift = 5 * (at % registersPerWord)
  const old = cells[word] as number
  if (((old >>> shift) & 31) >= rank) return false
  cells[word] = (old & ~(31 << shift)) | (rank << shift)
  return true
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
}

function oddnessOf({ residualTail, classTail }: Data): number {
  const level = Math.floor(-2.5 * Math.log10(Math.max(1e-9, Math.min(residualTail, classTail))))
  return level > 0 ? Math.min(15, level) : 0
}

function traitsOf({ hardening, output }: Data, odd: number): number {
  const told = hardening === 'none' ? 2 : hardening === 'label-only' ? 0 : 1
  return (told * 256 + Math.min(output.label, 255)) * 16 + odd
}

export function traitsAt(register: number): Traits {
  const packed = register % traitRange
  return { odd: packed & 15, label: (packed >>> 4) & 255, told: (packed >>> 12) & 3 }
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
