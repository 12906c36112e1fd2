import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hole, openMemory, place, readAtMost } from '../../../inference/prompt/memory.ts'
import { Units } from '../../../inference/prompt/units.ts'
import { sampleText } from './sample-texts.ts'

function opened() {
  const memory = openMemory(0)
  const first = new Uint16Array(memory.buffer, place.units - 4, readAtMost + hole + 2)
  return { units: new Units(memory), lying: (at: number) => first[at + 2] }
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

  it('are the first quarter of a longer one and its end with the two units before that, 256 units apart or as in the text', () => {
    const { units, lying } = opened()
    for (const longer of [1, 2, 3, 255, 256, 257, 258, 50_000]) {
      const text = sampleText('mixed', longer, readAtMost + longer)
      units.read(text)
      assert.deepEqual([units.skipFrom, units.skipUntil], [readAtMost / 4, longer + readAtMost / 4])
      assert.equal(units.skipUntil - units.shift - units.skipFrom, Math.min(longer, 256))
      for (let i = -2; i < units.skipFrom; i++) assert.equal(lying(i), i < 0 ? 10 : text.charCodeAt(i))
      for (let i = units.skipUntil - 2; i < text.length; i++) assert.equal(lying(i - units.shift), text.charCodeAt(i), `${longer}: ${i}`)
    }
  })
})
