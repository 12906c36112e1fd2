import type { Pieces } from './chunker.ts'

/** Chunks of a fingerprint: 480 bytes. */
const maxChunks = 80
/** Of a longer text, this many pieces at its end stay as they are: there the newest words and most suffixes stand. */
const tail = 48
/** And this many chunks, at most, describe the rest before its strangest parts are taken apart. */
const coarse = 16

/**
 * The pieces of a text as bytes: six a chunk, at most 80 chunks whatever the length. Of long texts the end stays in
 * fine pieces, what comes before is joined up to strong cuts (which depend on the content, so that the same text is joined in the
 * same way wherever it stands), and the joined parts with the strangest pieces are taken apart again while there is room.
 */
export class SketchWriter {
  readonly #bytes = Buffer.alloc(maxChunks * 6)
  #count = 0

  /** @param bits surprise of each piece, in bits altogether; @returns base64 */
  write(pieces: Pieces, bits: Float64Array): string {
    this.#count = 0
    if (pieces.count <= maxChunks) this.#each(pieces, bits, 0, pieces.count)
    else this.#condense(pieces, bits)
    return this.#bytes.toString('base64', 0, this.#count * 6)
  }

  #each(pieces: Pieces, bits: Float64Array, from: number, until: number): void {
    for (let i = from; i < until; i++) {
      const length = (pieces.until[i] as number) - (pieces.from[i] as number)
      this.#put(pieces.hashes[i] as number, length, (bits[i] as number) / Math.max(length, 1))
    }
  }

  #condense(pieces: Pieces, bits: Float64Array): void {
    // The border stands at a cut of its own, so that one more word at the end does not move it.
    let border = pieces.count - tail
    for (let i = border; i > border - tail / 4; i--) {
      if ((pieces.levels[i - 1] as number) === 0) continue
      border = i
      break
    }
    const level = levelFor(pieces, border)
    const ends = endsOf(pieces, border, level)
    const apart = strangest(pieces, bits, ends, maxChunks - (pieces.count - border) - ends.length)
    let from = 0
    for (const [group, until] of ends.entries()) {
      if (apart.has(group)) this.#each(pieces, bits, from, until)
      else this.#join(pieces, bits, from, until)
      from = until
    }
    this.#each(pieces, bits, border, pieces.count)
  }

  /** One chunk for several pieces; its surprise is that of its strangest piece. */
  #join(pieces: Pieces, bits: Float64Array, from: number, until: number): void {
    let hash = until - from === 1 ? (pieces.hashes[from] as number) : 0x5bd1e995
    if (until - from > 1)
      for (let i = from; i < until; i++) {
        hash = Math.imul((hash ^ (pieces.hashes[i] as number)) | 0, 0x9e3779b1)
        hash = (hash << 15) | (hash >>> 17)
      }
    this.#put(hash, (pieces.until[until - 1] as number) - (pieces.from[from] as number), most(pieces, bits, from, until))
  }

  #put(hash: number, length: number, surprise: number): void {
    if (this.#count === maxChunks) return
    const at = this.#count++ * 6
    this.#bytes.writeInt32LE(hash, at)
    this.#bytes[at + 4] = Math.min(255, length)
    this.#bytes[at + 5] = Math.min(255, Math.max(0, Math.round(surprise * 8)))
  }
}

/** Bits a character of the strangest piece. */
function most(pieces: Pieces, bits: Float64Array, from: number, until: number): number {
  let largest = 0
  for (let i = from; i < until; i++) {
    const length = (pieces.until[i] as number) - (pieces.from[i] as number)
    largest = Math.max(largest, (bits[i] as number) / Math.max(length, 1))
  }
  return largest
}

/** The weakest cuts that leave few enough parts. */
function levelFor(pieces: Pieces, border: number): number {
  const counts = new Array<number>(9).fill(0)
  for (let i = 0; i < border; i++) {
    const level = pieces.levels[i] as number
    counts[level] = (counts[level] ?? 0) + 1
  }
  let parts = 1
  for (let level = 8; level > 0; level--) {
    parts += counts[level] ?? 0
    if (parts > coarse) return level + 1
  }
  return 1
}

function endsOf(pieces: Pieces, border: number, level: number): number[] {
  const ends: number[] = []
  for (let i = 0; i < border; i++) if (i === border - 1 || (pieces.levels[i] as number) >= level) ends.push(i + 1)
  return ends
}

/** Parts to take apart: those with the strangest pieces first, while `room` more chunks remain. */
function strangest(pieces: Pieces, bits: Float64Array, ends: readonly number[], room: number): Set<number> {
  const parts = ends.map((until, group) => {
    const from = group === 0 ? 0 : (ends[group - 1] as number)
    return { group, more: until - from - 1, surprise: most(pieces, bits, from, until) }
  })
  parts.sort((a, b) => b.surprise - a.surprise)
  const apart = new Set<number>()
  let left = room
  for (const { group, more } of parts) {
    if (more > left) continue
    apart.add(group)
    left -= more
  }
  return apart
}
