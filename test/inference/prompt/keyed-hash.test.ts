import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { KeyedHash } from '../../../inference/prompt/keyed-hash.ts'
import { sampleText, scripts } from './sample-texts.ts'

describe('a keyed hash', () => {
  it('is the first 64 bits of SHA-256 of the secret and the text, whatever its script and length', () => {
    const keyed = new KeyedHash('secret')
    // A text of up to 65,536 / 3 units, with the secret's six, is written in place.
    for (const script of scripts)
      for (const length of [0, 1, 2_000, 21_838, 21_839, 21_840, 50_000, 70_000]) {
        const text = sampleText(script, length, length)
        const hash = createHash('sha256').update(`secret${text}`).digest('hex').slice(0, 16)
        assert.deepEqual(keyed.of(text), { hash, bytes: Buffer.byteLength(text) }, `${script}, ${length}`)
      }
  })
})
