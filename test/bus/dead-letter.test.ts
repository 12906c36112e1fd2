import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { deadLetterOf } from '../../bus/dead-letter.ts'
import { BusError } from '../../bus/errors.ts'
import { DeadLetter } from '../../schemas/index.ts'

const record = { topic: 'requests', partition: 2, offset: 7, key: 'alice', value: Buffer.from('{}'), headers: { ce_id: 'x' }, timestamp: 0 }

test('says what came, from where and why not', () => {
  assert.deepEqual(deadLetterOf(record, new BusError('MALFORMED_JSON', 'not JSON'), 5), {
    topic: 'requests',
    partition: 2,
    offset: 7,
    code: 'MALFORMED_JSON',
    reason: 'not JSON',
    key: 'alice',
    headers: { ce_id: 'x' },
    value: 'e30=',
    size: 2,
    at: 5,
  })
})

test('makes terminal escapes and marks that reorder text visible', () => {
  const letter = deadLetterOf({ ...record, key: 'a\u001b[2Jb\u202ec', headers: { 'x\n': '\r\0' } }, 'no\u0007', 5)
  assert.equal(letter.key, 'a\\u{1b}[2Jb\\u{202e}c')
  assert.deepEqual(letter.headers, { 'x\\u{a}': '\\u{d}\\u{0}' })
  assert.deepEqual([letter.code, letter.reason], ['UNEXPECTED', 'no\\u{7}'])
})

test('is valid and bounded, whatever the record', () => {
  const text = fc.string({ unit: 'binary', maxLength: 3_000 })
  fc.assert(
    fc.property(
      text,
      fc.dictionary(text, text, { maxKeys: 40 }),
      fc.option(fc.uint8Array({ maxLength: 20_000 })),
      text,
      (key, headers, value, reason) => {
        const letter = deadLetterOf({ ...record, key, headers, value }, new Error(reason), 5)
        DeadLetter.parse(letter)
        const json = JSON.stringify(letter)
        assert.doesNotMatch(json, /\p{Cc}|\p{Cf}|\p{Surrogate}/u)
        assert.ok(Object.keys(letter.headers).length <= 32)
        assert.ok(json.length < 500_000)
        assert.equal(letter.size, value?.length ?? 0)
      },
    ),
    { seed: 11, numRuns: 300 },
  )
})
