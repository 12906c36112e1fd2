import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Places } from '../../limits/places.ts'

const hour = 3_600_000

describe('an unusual place', () => {
  it('is one that somebody who has called for an hour began to use within the last', () => {
    const places = new Places(hour, 100)
    assert.equal(places.isNew('alice', '192.0.2.1', 0), false)
    assert.equal(places.isNew('alice', '198.51.100.7', hour - 1), false, 'nobody knows yet where alice calls from')
    assert.equal(places.isNew('alice', '192.0.2.1', hour), false)
    assert.equal(places.isNew('alice', '203.0.113.9', hour), true)
    assert.equal(places.isNew('alice', '203.0.113.9', 2 * hour - 1), true)
    assert.equal(places.isNew('alice', '203.0.113.9', 2 * hour), false)
  })

  it('is not new to somebody else', () => {
    const places = new Places(hour, 100)
    places.isNew('alice', '192.0.2.1', 0)
    assert.equal(places.isNew('bob', '203.0.113.9', hour), false)
    assert.equal(places.isNew('alice', '203.0.113.9', hour), true)
  })

  it('is kept in mind for so many principals, and so many places of each', () => {
    const places = new Places(hour, 2)
    for (const principal of ['alice', 'bob', 'carol']) places.isNew(principal, '192.0.2.1', 0)
    assert.equal(places.isNew('alice', '203.0.113.9', hour), false, 'alice was forgotten, so nothing is known of her')
    assert.equal(places.isNew('carol', '203.0.113.9', hour), true)
    for (let i = 0; i < 16; i++) places.isNew('carol', `198.51.100.${i}`, 2 * hour)
    assert.equal(places.isNew('carol', '203.0.113.9', 3 * hour), true, 'sixteen others came since')
  })
})
