import { CharacterClass, characters } from './characters.ts'

/** Secret numbers of one model and epoch: without them nobody knows where a text is cut, or what a piece hashes to. */
export interface ChunkKey {
  readonly letter: number
  /** Hashes of the letters below 256, which most texts have no others of. */
  readonly letters: Int32Array
  readonly cut: number
  readonly level: number
  readonly hash: Int32Array
}

/** @param bytes 32 secret bytes */
export function chunkKeyOf(bytes: Uint8Array): ChunkKey {
  const words = Int32Array.from(new Int32Array(new Uint8Array(bytes).buffer, 0, 8))
  const letter = words[0] as number
  const { folded } = characters()
  const letters = Int32Array.from({ length: 256 }, (_, unit) => letterHash(folded[unit] as number, letter))
  return { letter, letters, cut: (words[1] as number) | 1, level: (words[2] as number) | 1, hash: words.slice(4, 8) }
}

function letterHash(plain: number, key: number): number {
  let h = Math.imul(plain ^ key, 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 15), 0xc2b2ae35)
  return h ^ (h >>> 13)
}

/** Pieces of a text, in order, as columns; reused from one text to the next. */
export class Pieces {
  count = 0
  readonly hashes: Int32Array
  /** Code units. */
  readonly from: Int32Array
  readonly until: Int32Array
  /** How strong the cut at its end is: each level is four times rarer. */
  readonly levels: Uint8Array

  readonly capacity: number

  constructor(capacity: number) {
    this.capacity = capacity
    this.hashes = new Int32Array(capacity)
    this.from = new Int32Array(capacity)
    this.until = new Int32Array(capacity)
    this.levels = new Uint8Array(capacity)
  }
}

/** Code units of a piece, at least (but for the last of a message) and at most. */
const shortest = 4
const longest = 16
const longestWord = 16
/** The cut at the end of a message counts as this strong. */
const messageLevel = 5
const maxLevel = 7

/**
 * Cuts the code units `[from, until)` of a text into pieces and adds them. A cut depends on the word before it alone, so an inserted
 * character moves no cut but its own. A word hashes as the sum of its letters, white space not at all: case, accents,
 * letters in another order and spaces change no hash, and so hide nothing; the exact hash tells such texts apart.
 * Pieces hash with HalfSipHash-1-3 over their words (Aumasson and Bernstein 2012), a pseudorandom function under the key.
 */
export function cut(units: Uint16Array, from: number, until: number, key: ChunkKey, pieces: Pieces): void {
  const { classes, folded } = characters()
  // Of an object that another module exports V8 asks at each character whether it still is the same.
  const { ignored, space, word: wordly, single } = CharacterClass
  const { letter, letters, cut: cutting, level: levelling } = key
  const k0 = key.hash[0] as number
  const k1 = key.hash[1] as number
  let v0 = k0
  let v1 = k1
  let v2 = 0x6c796765 ^ k0
  let v3 = 0x74656462 ^ k1
  let start = from
  let before = 0
  let at = from
  while (at < until && pieces.count < pieces.capacity) {
    // One word: a run of letters and digits, or one character of any other kind.
    let word = 0
    let length = 0
    while (at < until && length < longestWord) {
      const unit = units[at] as number
      const kind = classes[unit] as number
      if (kind === wordly || (kind === single && length === 0)) {
        word = (word + (unit < 256 ? (letters[unit] as number) : letterHash(folded[unit] as number, letter))) | 0
        length++
        at++
        if (kind === single) break
      } else if (kind === ignored) at++
      else break
    }
    while (at < until && (classes[units[at] as number] as number) <= space) at++
    if (length > 0) {
      word = (word + length) | 0
      v3 ^= word
      // One round.
      v0 = (v0 + v1) | 0
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
      v0 = (v0 << 16) | (v0 >>> 16)
      v2 = (v2 + v3) | 0
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
      v0 = (v0 + v3) | 0
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
      v2 = (v2 + v1) | 0
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
      v2 = (v2 << 16) | (v2 >>> 16)
      v0 ^= word
    }
    const size = at - start
    const last = at >= until
    let draw = Math.imul(word ^ (word >>> 16), cutting)
    draw = Math.imul(draw ^ (draw >>> 15), 0x2c1b3c6d)
    if (last || size >= longest || (size >= shortest && draw < 0)) {
      let pair = Math.imul(word + Math.imul(before, 0x9e3779b1), levelling)
      pair = Math.imul(pair ^ (pair >>> 16), 0x2c1b3c6d)
      pair ^= pair >>> 15
      const n = pieces.count++
      pieces.hashes[n] = finish(v0, v1, v2, v3)
      pieces.from[n] = start
      pieces.until[n] = at
      pieces.levels[n] = last ? messageLevel : Math.min(maxLevel, Math.clz32(pair) >>> 1)
      v0 = k0
      v1 = k1
      v2 = 0x6c796765 ^ k0
      v3 = 0x74656462 ^ k1
      start = at
    }
    before = word
  }
}

/** HalfSipHash's three last rounds. */
function finish(a: number, b: number, c: number, d: number): number {
  let v0 = a
  let v1 = b
  let v2 = c ^ 0xff
  let v3 = d
  for (let round = 0; round < 3; round++) {
    v0 = (v0 + v1) | 0
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
    v0 = (v0 << 16) | (v0 >>> 16)
    v2 = (v2 + v3) | 0
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
    v0 = (v0 + v3) | 0
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
    v2 = (v2 + v1) | 0
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
    v2 = (v2 << 16) | (v2 >>> 16)
  }
  return v1 ^ v3
}
