import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CharacterClass, characters } from '../../../inference/prompt/characters.ts'
import { Chunker, chunkKeyOf } from '../../../inference/prompt/chunker.ts'
import { mostPieces, openMemory } from '../../../inference/prompt/memory.ts'
import { Pieces } from '../../../inference/prompt/pieces.ts'
import { Units } from '../../../inference/prompt/units.ts'
import { seeded } from '../../attacks/random.ts'
import { sampleText, scripts } from './sample-texts.ts'

interface Piece {
  readonly hash: number
  readonly from: number
  readonly until: number
  readonly level: number
}

/** The same as it reads: word by word, a piece hashed when all its words are known. */
function plainly(text: string, key: Uint8Array): Piece[] {
  const [letter = 0, cutting = 0, levelling = 0, , k0 = 0, k1 = 0] = new Int32Array(key.buffer)
  const { classes, folded } = characters()
  const classAt = (i: number) => classes[text.charCodeAt(i)] ?? 0
  const pieces: Piece[] = []
  let [at, from, before, words] = [0, 0, 0, [] as number[]]
  while (at < text.length) {
    const letters: number[] = []
    while (at < text.length && letters.length < 16) {
      const kind = classAt(at)
      if (kind === CharacterClass.space || (kind === CharacterClass.single && letters.length > 0)) break
      if (kind !== CharacterClass.ignored) letters.push(folded[text.charCodeAt(at)] ?? 0)
      at++
      if (kind === CharacterClass.single) break
    }
    while (at < text.length && classAt(at) <= CharacterClass.space) at++
    const word = letters.reduce((sum, each) => sum + mix(each ^ letter, [0, 0x85ebca6b], [15, 0xc2b2ae35], [13, 1]), letters.length) | 0
    if (letters.length > 0) words.push(word)
    const last = at === text.length
    const drawn = mix(word, [16, cutting | 1], [15, 0x2c1b3c6d])
    if (last || at - from >= 16 || (at - from >= 4 && drawn < 0)) {
      const pair = mix(word + Math.imul(before, 0x9e3779b1), [0, levelling | 1], [16, 0x2c1b3c6d], [15, 1])
      pieces.push({ hash: halfSipHash(words, k0, k1), from, until: at, level: last ? 5 : Math.min(7, Math.clz32(pair) >> 1) })
      from = at
      words = []
    }
    before = word
  }
  return pieces
}

/** Steps of a shift, which is xored in, and a factor. */
function mix(value: number, ...steps: readonly (readonly [number, number])[]): number {
  return steps.reduce((h, [shift, factor]) => Math.imul(shift === 0 ? h : h ^ (h >>> shift), factor), value | 0)
}

/** HalfSipHash-1-3 of 32-bit words, without the last word that holds a length. */
function halfSipHash(words: readonly number[], k0: number, k1: number): number {
  const rotl = (x: number, by: number) => (x << by) | (x >>> (32 - by))
  let [v0, v1, v2, v3] = [k0, k1, 0x6c796765 ^ k0, 0x74656462 ^ k1]
  const round = () => {
    v0 = (v0 + v1) | 0
    v2 = (v2 + v3) | 0
    v1 = rotl(v1, 5) ^ v0
    v3 = rotl(v3, 8) ^ v2
    v0 = rotl(v0, 16)
    v2 = (v2 + v1) | 0
    v0 = (v0 + v3) | 0
    v1 = rotl(v1, 13) ^ v2
    v3 = rotl(v3, 7) ^ v0
    v2 = rotl(v2, 16)
  }
  for (const word of words) {
    v3 ^= word
    round()
    v0 ^= word
  }
  v2 ^= 0xff
  for (let i = 0; i < 3; i++) round()
  return v1 ^ v3
}

const keyOf = (seed: number) =>
  Uint8Array.from(
    { length: 32 },
    (
      (random) => () =>
        random.below(256)
    )(seeded(seed)),
  )

function opened() {
  const memory = openMemory(0)
  const [units, pieces, chunker] = [new Units(memory), new Pieces(memory), new Chunker(memory)]
  const columns = (from: number) =>
    Array.from({ length: pieces.count - from }, (_, i) => ({
      hash: pieces.hashes[from + i],
      from: pieces.from[from + i],
      until: pieces.until[from + i],
      level: pieces.levels[from + i],
    }))
  return { units, pieces, chunker, columns }
}

describe('a chunker', () => {
  for (const script of scripts)
    it(`cuts ${script} as it reads, bit for bit`, () => {
      const { units, pieces, chunker, columns } = opened()
      for (let seed = 0; seed < 12; seed++) {
        const [text, key] = [sampleText(script, seed, 1 + seed * 90), keyOf(seed)]
        units.read(text)
        pieces.clear()
        chunker.key = chunkKeyOf(key)
        chunker.cut(0, text.length)
        assert.deepEqual(columns(0), plainly(text, key))
      }
    })

  it('cuts a part of a text as if it stood alone, behind the pieces that there are', () => {
    const { units, pieces, chunker, columns } = opened()
    const [text, key] = [sampleText('latin', 1, 400), keyOf(1)]
    units.read(text)
    pieces.clear()
    chunker.key = chunkKeyOf(key)
    chunker.cut(0, 100)
    const { count } = pieces
    chunker.cut(200, 200)
    chunker.cut(250, 400)
    const alone = plainly(text.slice(250), key).map((piece) => ({ ...piece, from: piece.from + 250, until: piece.until + 250 }))
    assert.deepEqual(columns(count), alone)
  })

  it('stops when no more pieces have a place', () => {
    const { units, pieces, chunker } = opened()
    units.read('a'.repeat(mostPieces + 1))
    pieces.clear()
    for (let at = 0; at <= mostPieces; at++) chunker.cut(at, at + 1)
    assert.equal(pieces.count, mostPieces)
    assert.equal(pieces.until[mostPieces - 1], mostPieces)
  })
})
