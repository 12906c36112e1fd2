import type { Sketch } from './sketch.ts'
import { maxChunks } from './sketch.ts'

/** Chunks that nobody has written before and that are remembered of a prompt. */
const maxFresh = 8

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
