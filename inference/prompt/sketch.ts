import type { Pieces } from './pieces.ts'

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

  /** @returns base64 */
  write(pieces: Pieces): string {
    this.#count = 0
    const { count } = pieces
    if (count <= maxChunks) this.#each(pieces, 0, count)
    else this.#condense(pieces, count)
    return this.#bytes.toString('base64', 0, this.#count * 6)
  }

  #each(pieces: Pieces, from: number, until: number): void {
    for (let i = from; i < until; i++) this.#put(pieces.hashes[i] as number, lengthOf(pieces, i, i), pieces.surprises[i] as number)
  }

  #condense(pieces: Pieces, count: number): void {
    // The border stands at a cut of its own, so that one more word at the end does not move it.
    let border = count - tail
    for (let i = border; i > border - tail / 4; i--) {
      if ((pieces.levels[i - 1] as number) === 0) continue
      border = i
      break
    }
    const parts = partsOf(pieces, border)
    takeApart(parts, maxChunks - (count - border) - parts.length)
    for (const part of parts) {
      if (part.apart) this.#each(pieces, part.from, part.until)
      else this.#join(pieces, part)
    }
    this.#each(pieces, border, count)
  }

  /** One chunk for several pieces. */
  #join(pieces: Pieces, { from, until, surprise }: Part): void {
    let hash = until - from === 1 ? (pieces.hashes[from] as number) : 0x5bd1e995
    if (until - from > 1)
      for (let i = from; i < until; i++) {
        hash = Math.imul((hash ^ (pieces.hashes[i] as number)) | 0, 0x9e3779b1)
        hash = (hash << 15) | (hash >>> 17)
      }
    this.#put(hash, lengthOf(pieces, from, until - 1), surprise)
  }

  #put(hash: number, length: number, surprise: number): void {
    if (this.#count === maxChunks) return
    const at = this.#count++ * 6
    this.#bytes[at] = hash
    this.#bytes[at + 1] = hash >> 8
    this.#bytes[at + 2] = hash >> 16
    this.#bytes[at + 3] = hash >> 24
    this.#bytes[at + 4] = Math.min(255, length)
    this.#bytes[at + 5] = Math.min(255, Math.max(0, Math.round(surprise * 8)))
  }
}

/** Code units from the start of one piece to the end of another. */
function lengthOf({ from, until }: Pieces, first: number, last: number): number {
  return (until[last] as number) - (from[first] as number)
}

/** Pieces `[from, until)`, which are joined unless there is room for each. */
interface Part {
  readonly from: number
  readonly until: number
  /** Of its strangest piece. */
  readonly surprise: number
  apart: boolean
}

/** Parts up to the border, between the weakest cuts that leave few enough. */
function partsOf({ levels, surprises }: Pieces, border: number): Part[] {
  const level = levelFor(levels, border)
  const parts: Part[] = []
  let from = 0
  let surprise = 0
  for (let i = 0; i < border; i++) {
    surprise = Math.max(surprise, surprises[i] as number)
    if (i < border - 1 && (levels[i] as number) < level) continue
    parts.push({ from, until: i + 1, surprise, apart: false })
    from = i + 1
    surprise = 0
  }
  return parts
}

function levelFor(levels: Uint8Array, border: number): number {
  const counts = new Uint32Array(9)
  for (let i = 0; i < border; i++) counts[levels[i] as number]!++
  let parts = 1
  for (let level = 8; level > 0; level--) {
    parts += counts[level] as number
    if (parts > coarse) return level + 1
  }
  return 1
}

/** Takes the parts with the strangest pieces apart while `room` more chunks remain. */
function takeApart(parts: readonly Part[], room: number): void {
  let left = room
  for (const part of parts.toSorted((a, b) => b.surprise - a.surprise)) {
    const more = part.until - part.from - 1
    if (more > left) continue
    part.apart = true
    left -= more
  }
}
