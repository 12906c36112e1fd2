import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { lastGoodOf, modelsOf } from '../../../pipeline/response/models.ts'
import type { Model } from '../../../schemas/index.ts'

/** `1+ 2- 3+` is versions 1 and 3 good, 2 not. */
function model(current: string, versions: string): Model {
  return {
    name: 'digits',
    current,
    versions: versions.split(' ').map((text) => ({ version: text.slice(0, -1), digest: 'd', good: text.endsWith('+') })),
  }
}

describe('the last good version', () => {
  const rows: [current: string, versions: string, expected: string | null][] = [
    ['3', '1+ 2+ 3+', '2'],
    ['3', '1+ 2- 3+', '1'],
    // A version after the current one is not a roll back.
    ['2', '1+ 2+ 3+', '1'],
    ['1', '1+ 2+', null],
    ['2', '1- 2+', null],
    ['9', '1+ 2+', '2'],
  ]
  for (const [current, versions, expected] of rows) {
    it(`of ${versions}, serving ${current}, is ${expected}`, () => assert.equal(lastGoodOf(model(current, versions)), expected))
  }

  it('of a model that nobody registered is none', async () => {
    assert.equal(await modelsOf({ get: () => undefined }).lastGood('x'), null)
    assert.equal(await modelsOf({ get: () => model('2', '1+ 2+') }).lastGood('digits'), '1')
  })
})
