import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { openMemory, place } from '../../../inference/prompt/memory.ts'
import { Pieces } from '../../../inference/prompt/pieces.ts'
import { SketchWriter } from '../../../inference/prompt/sketch.ts'
import { seeded } from '../../attacks/random.ts'

interface Given {
  readonly level: number
  readonly surprise: number
  readonly length?: number
  readonly hash?: number
}

/** @returns chunks of six bytes */
function sketchOf(given: readonly Given[]): Buffer[] {
  const memory = openMemory(0)
  const pieces = new Pieces(memory)
  new Int32Array(memory.buffer, place.pieces, 1)[0] = given.length
  let from = 0
  for (const [i, { level, surprise, length = 5, hash = i }] of given.entries()) {
    pieces.from[i] = from
    from += length
    pieces.until[i] = from
    pieces.hashes[i] = hash
    pieces.levels[i] = level
    pieces.surprises[i] = surprise
  }
  const bytes = Buffer.from(new SketchWriter().write(pieces), 'base64')
  return Array.from({ length: bytes.length / 6 }, (_, i) => bytes.subarray(6 * i, 6 * i + 6))
}

const lengthsOf = (chunks: readonly Buffer[]) => chunks.map((chunk) => chunk[4])

describe('a sketch', () => {
  it('has every piece of a short text: hash, length, and eighths of a bit', () => {
    const chunks = sketchOf([
      { hash: 0x01020304, level: 0, surprise: 2.5, length: 7 },
      { hash: -2, level: 5, surprise: 40, length: 300 },
    ])
    assert.deepEqual(
      chunks.map((chunk) => [...chunk]),
      [
        [4, 3, 2, 1, 7, 20],
        [254, 255, 255, 255, 255, 255],
      ],
    )
  })

  it('joins a long text up to its strong cuts, and takes apart what is strangest while there is room', () => {
    // Four parts of 20, 20, 2 and 20 pieces, then the 48 last ones: of 80 chunks 28 are left. The strangest part takes 19 of them, the
    // next one would take 19 too, the small one takes one.
    const level = (i: number) => ([19, 39, 41, 61].includes(i) ? 3 : 0)
    const surprise = (i: number) => (i === 45 ? 9 : i === 3 ? 8 : i === 40 ? 7 : 1)
    const chunks = sketchOf(Array.from({ length: 110 }, (_, i) => ({ level: level(i), surprise: surprise(i) })))
    const fine = (count: number) => new Array<number>(count).fill(5)
    assert.deepEqual(lengthsOf(chunks), [100, 100, ...fine(2), ...fine(20), ...fine(48)])
    // A joined chunk is as strange as its strangest piece.
    assert.deepEqual(
      chunks.slice(0, 3).map((chunk) => chunk[5]),
      [64, 8, 56],
    )
  })

  it('is the same in every version', () => {
    const digestOf = (count: number) => {
      const random = seeded(count)
      const given = Array.from({ length: count }, () => ({
        hash: random.below(2 ** 32) | 0,
        level: Math.min(7, Math.clz32(random.below(2 ** 32)) >> 1),
        surprise: random.below(80) / 8,
        length: 1 + random.below(16),
      }))
      return createHash('sha256')
        .update(Buffer.concat(sketchOf(given)))
        .digest('hex')
        .slice(0, 16)
    }
    assert.deepEqual([81, 200, 1_000, 16_000].map(digestOf), [
      '24ce3e7956522071',
      'a420bdffc3810f8e',
      '90e2937b75a077db',
      'ed21b659753cf697',
    ])
  })
})
