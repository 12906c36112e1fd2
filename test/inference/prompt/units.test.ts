import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { openMemory, place, readAtMost } from '../../../inference/prompt/memory.ts'
import { Pieces } from '../../../inference/prompt/pieces.ts'
import { Units } from '../../../inference/prompt/units.ts'
import { sampleText } from './sample-texts.ts'

function opened() {
  const memory = openMemory(0)
  const first = new Uint16Array(memory.buffer, place.units - 4, readAtMost + 4)
  return { units: new Units(memory), pieces: new Pieces(memory), lying: (at: number) => first[at + 2] }
}

describe('the units of a text', () => {
  it('are all of a short one, after two line feeds', () => {
    const { units, lying } = opened()
    for (const text of ['', 'a', sampleText('surrogates', 1, 300), sampleText('cjk', 2, readAtMost)]) {
      units.read(text)
      assert.deepEqual([units.skipFrom, units.skipUntil, units.shift], [text.length, text.length, 0])
      assert.deepEqual([lying(-2), lying(-1)], [10, 10])
      for (let i = 0; i < text.length; i++) assert.equal(lying(i), text.charCodeAt(i))
    }
  })

  it('are the first quarter of a longer one and its end, with the two units before that', () => {
    const { units, lying } = opened()
    for (const longer of [1, 2, 3, 4, 50_000]) {
      const text = sampleText('mixed', longer, readAtMost + longer)
      units.read(text)
      assert.deepEqual([units.skipFrom, units.skipUntil], [readAtMost / 4, longer + readAtMost / 4])
      for (let i = 0; i < units.skipFrom; i++) assert.equal(lying(i), text.charCodeAt(i))
      for (let i = units.skipUntil - 2; i < text.length; i++) assert.equal(lying(i - units.shift), text.charCodeAt(i), `${longer}: ${i}`)
    }
  })

  it('that are left out count in the length of what spans them', () => {
    const { pieces } = opened()
    pieces.from.set([0, 5, 12])
    pieces.until.set([5, 10, 20])
    // What is left out lies before the third; each message after it says so again.
    const count = new Int32Array(pieces.from.buffer, place.pieces, 1)
    pieces.clear()
    count[0] = 2
    pieces.skip(100)
    count[0] = 3
    pieces.skip(100)
    assert.deepEqual([pieces.lengthOf(0, 1), pieces.lengthOf(0, 2), pieces.lengthOf(2, 2)], [10, 120, 8])
    pieces.clear()
    assert.equal(pieces.lengthOf(0, 2), 20)
  })
})
