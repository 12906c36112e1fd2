import type { Sketch } from './sketch.ts'
import { maxChunks } from './sketch.ts'

/** Chunks that nobody has written before and that are remembered of a prompt. */
const maxFresh = 8
/** Chunks that a prompt lost, and that are remembered. */
export const maxLost = 8

/** How a prompt differs from an earlier one; lengths in characters, strangeness in bits a character. Reused. */
export class Difference {
  kept = 0
  added = 0
  removed = 0
  /** Runs of changed chunks. */
  sites = 0
  /** Runs that left the earlier prompt. */
  gaps = 0
  /** Chunks before the first change and after the last one. */
  before = 0
  after = 0
  /** How much stranger the added text is than the plain part of the prompt, and how much what stands next to it unchanged. */
  excess = 0
  beside = 0
  /** Unchanged characters that are stranger than the plain part by `strangeBits`. */
  keptStrange = 0
  /** The same of the removed text, as it was measured then. */
  removedExcess = 0
  /** Unchanged characters that few callers have written. */
  keptRare = 0
  /** Added characters that nobody has written before, in how many runs of chunks, how strange, and how many stand before them. */
  fresh = 0
  freshRuns = 0
  freshExcess = 0
  freshPlace = 0
  /** The first chunks of them. */
  freshCount = 0
  readonly freshHashes = new Uint32Array(maxFresh)
  /** The chunks right before and behind the new text, as one number; 0 where they do not say where that is. */
  freshContext = 0
  /** The first chunks that the earlier prompt has more often than this one, and how often this one still has them. */
  lostCount = 0
  readonly lostHashes = new Uint32Array(maxLost)
  readonly lostLeft = new Uint8Array(maxLost)
  /** Both are cut at the same places: letters were exchanged for others within words. */
  sameCuts = false
  readonly #seen = new Uint8Array(maxChunks)
  /** Characters before the first change. */
  place = 0
  /** How differently the kept text reads, bits a character: the same letters in another case or order. */
  disguise = 0
  /** For each chunk of the new prompt, 1 where the earlier one has it too. */
  readonly matched = new Uint8Array(maxChunks)

  /** Compares `sketch` with the `count` chunks that columns hold from `base` on. */
  compare(sketch: Sketch, hashes: Uint32Array, lengths: Uint8Array, strange: Uint8Array, base: number, count: number): void {
    this.matched.fill(0)
    const plain = sketch.plain()
    this.removed = 0
    this.gaps = 0
    let removedBits = 0
    let open = false
    let disguise = 0
    let disguised = 0
    for (let j = 0; j < count; j++) {
      const i = sketch.find(hashes[base + j] as number)
      if (i >= 0) {
        this.matched[i] = 1
        disguise += Math.abs((sketch.strange[i] as number) - (strange[base + j] as number))
        disguised++
        open = false
        continue
      }
      if (!open) this.gaps++
      open = true
      this.removed += lengths[base + j] as number
      removedBits += (lengths[base + j] as number) * (strange[base + j] as number)
    }
    this.disguise = disguised === 0 ? 0 : disguise / disguised / 8
    this.removedExcess = this.removed === 0 ? 0 : removedBits / this.removed / 8 - plain / 8
    this.#read(sketch, plain)
    // What the earlier prompt lost at an end is a change there too.
    if (count > 0 && sketch.find(hashes[base] as number) < 0) this.before = 0
    if (count > 0 && sketch.find(hashes[base + count - 1] as number) < 0) this.after = 0
  }

  /** Finds what `sketch` lost of the `count` chunks that columns hold from `base` on. */
  lose(sketch: Sketch, hashes: Uint32Array, lengths: Uint8Array, base: number, count: number): void {
    this.lostCount = 0
    this.sameCuts = count === sketch.count
    this.#seen.fill(0)
    for (let j = 0; j < count; j++) {
      const hash = hashes[base + j] as number
      if (lengths[base + j] !== sketch.lengths[j]) this.sameCuts = false
      const left = sketch.times(hash)
      if (left > 0) {
        const first = sketch.find(hash)
        this.#seen[first] = (this.#seen[first] as number) + 1
        if ((this.#seen[first] as number) <= left) continue
      }
      if (this.lostCount === maxLost) continue
      this.lostHashes[this.lostCount] = hash
      this.lostLeft[this.lostCount++] = left
    }
  }

  /** Says where the new text stands that begins with the chunk `first` and ends with the chunk `last`. */
  locate(sketch: Sketch, first: number, last: number): void {
    const behind = uniqueAt(sketch, first - 1)
    const ahead = uniqueAt(sketch, last + 1)
    this.freshContext = first < 0 || behind === 0 || ahead === 0 ? 0 : (Math.imul(behind, 0x9e3779b1) ^ ahead) >>> 0
  }

  #read(sketch: Sketch, plain: number): void {
    const matched = this.matched
    const { count, lengths, strange, hashes } = sketch
    this.kept = 0
    this.added = 0
    this.sites = 0
    this.before = 0
    this.keptStrange = 0
    this.place = 0
    let addedBits = 0
    let besideBits = 0
    let besideLength = 0
    let last = -1
    for (let i = 0; i < count; i++) {
      const length = lengths[i] as number
      const bits = strange[i] as number
      // A repeated chunk has one place in the table.
      if (matched[i] === 1 || matched[sketch.find(hashes[i] as number)] === 1) {
        matched[i] = 1
        this.kept += length
        if (bits > plain + 12) this.keptStrange += length
        continue
      }
      if (i === 0 || matched[i - 1] === 1) {
        if (this.sites === 0) {
          this.before = i
          this.place = this.kept
        }
        this.sites++
      }
      this.added += length
      addedBits += length * bits
      last = i
    }
    if (this.sites === 0) this.before = count
    this.after = count - 1 - last
    for (let i = 0; i < count; i++) {
      if (matched[i] !== 1) continue
      const near = (i > 0 && matched[i - 1] === 0) || (i > 1 && matched[i - 2] === 0) || matched[i + 1] === 0 || matched[i + 2] === 0
      if (!near || i + 1 >= count + 2) continue
      besideBits += (lengths[i] as number) * (strange[i] as number)
      besideLength += lengths[i] as number
    }
    this.excess = this.added === 0 ? 0 : addedBits / this.added / 8 - plain / 8
    this.beside = besideLength === 0 ? 0 : besideBits / besideLength / 8 - plain / 8
  }
}

/** The hash of a chunk, 1 beyond either end of the prompt, and 0 where the prompt has the chunk more than once. */
function uniqueAt(sketch: Sketch, at: number): number {
  const hash = sketch.hashes[at]
  if (at < 0 || at >= sketch.count || hash === undefined) return 1
  return sketch.times(hash) === 1 ? hash : 0
}
