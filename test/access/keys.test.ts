import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { formatKey, hashSecret, newKeyId, newSecret, parseKey, secretMatches, standingOf } from '../../access/keys.ts'
import { planRotation } from '../../access/rotation.ts'
import { Key } from '../../schemas/index.ts'

function keyOf(change: Partial<Key> = {}): Key {
  return Key.parse({
    id: 'abcdefghijkl',
    principal: 'alice',
    organization: null,
    hash: hashSecret('s'),
    state: 'active',
    createdAt: 0,
    expiresAt: null,
    revokedAt: null,
    replaces: null,
    ...change,
  })
}

test('a key is read back as it was written, and no two are alike', () => {
  const seen = new Set<string>()
  for (let i = 0; i < 1_000; i++) {
    const parts = { id: newKeyId(), secret: newSecret() }
    assert.match(formatKey(parts), /^cordon_[0-9a-z]{12}_[0-9A-Za-z]{43}$/)
    assert.deepEqual(parseKey(formatKey(parts)), parts)
    seen.add(parts.id).add(parts.secret)
  }
  assert.equal(seen.size, 2_000)
})

test('a secret has 256 bits: each of its 43 digits is one of 62 about equally often', () => {
  const counts = new Map<string, number>()
  for (let i = 0; i < 2_000; i++) for (const digit of newSecret()) counts.set(digit, (counts.get(digit) ?? 0) + 1)
  assert.ok(43 * Math.log2(62) >= 256)
  assert.equal(counts.size, 62)
  // 86,000 digits, 1,387 of each expected, with a standard deviation of 37: six of them either way.
  for (const [digit, count] of counts) assert.ok(Math.abs(count - 1_387) < 6 * 37, `${digit}: ${count}`)
})

test('what is not a key is none, whatever it is', () => {
  const good = formatKey({ id: newKeyId(), secret: newSecret() })
  const bad = [
    '',
    'cordon_',
    good.slice(1),
    `${good}a`,
    `${good} `,
    good.toUpperCase(),
    good.replaceAll('_', '-'),
    `${good.slice(0, -1)}\n`,
  ]
  for (const text of bad) assert.equal(parseKey(text), null, JSON.stringify(text))
  assert.equal(parseKey('cordon_'.repeat(1_000_000)), null)
  fc.assert(fc.property(fc.string({ maxLength: 80 }), (text) => parseKey(text) === null))
  fc.assert(
    fc.property(fc.nat({ max: good.length - 1 }), fc.constantFrom('_', '-', ' ', '\0', 'é', '/'), (at, character) => {
      const changed = good.slice(0, at) + character + good.slice(at + 1)
      return changed === good || parseKey(changed) === null
    }),
  )
})

test('only the secret itself matches, and a key without a hash matches nothing', () => {
  const secret = newSecret()
  const key = keyOf({ hash: hashSecret(secret) })
  assert.equal(secretMatches(key, secret), true)
  assert.equal(secretMatches(key, newSecret()), false)
  assert.equal(secretMatches(keyOf({ hash: null, state: 'pending' }), secret), false)
  assert.equal(secretMatches(undefined, secret), false)
})

test('the clock ends a key', () => {
  const rows: [Partial<Key>, number, string][] = [
    [{}, 0, 'active'],
    [{ expiresAt: 10 }, 9, 'active'],
    [{ expiresAt: 10 }, 10, 'expired'],
    [{ state: 'pending', hash: null }, 0, 'pending'],
    [{ state: 'pending', hash: null, expiresAt: 10 }, 10, 'expired'],
    [{ state: 'revoked', expiresAt: 10 }, 10, 'revoked'],
  ]
  for (const [change, now, standing] of rows) assert.equal(standingOf(keyOf(change), now), standing)
})

test('rotating twice is rotating once', () => {
  let made = 0
  const newId = () => `successor00${made++}`
  const old = keyOf({ expiresAt: 1_000 })
  const first = planRotation([old], [old], 100, 50, newId)
  assert.deepEqual(first.successors, ['successor000'])
  assert.deepEqual(first.changes, [
    { ...old, expiresAt: 100 },
    keyOf({ id: 'successor000', hash: null, state: 'pending', createdAt: 50, expiresAt: 1_000, replaces: old.id }),
  ])
  const again = planRotation([first.changes[0] as Key], first.changes, 200, 60, newId)
  assert.deepEqual(again, { changes: [], successors: ['successor000'] })
})

test('a rotation leaves dead keys alone, and a claimed successor in peace', () => {
  const none = () => assert.fail('no successor is due')
  const dead = [keyOf({ state: 'revoked' }), keyOf({ expiresAt: 10 }), keyOf({ state: 'pending', hash: null })]
  assert.deepEqual(planRotation(dead, dead, 100, 50, none), { changes: [], successors: [] })
  const old = keyOf({ expiresAt: 100 })
  const claimed = keyOf({ id: 'zzzzzzzzzzzz', replaces: old.id })
  assert.deepEqual(planRotation([old], [old, claimed], 100, 50, none), { changes: [], successors: [] })
})

test('a revoked successor is followed by another, with the lifetime of the first key', () => {
  const old = keyOf({ expiresAt: 100 })
  const revoked = keyOf({ id: 'zzzzzzzzzzzz', replaces: old.id, state: 'revoked', expiresAt: 1_000 })
  const { changes } = planRotation([old], [old, revoked], 100, 50, () => 'yyyyyyyyyyyy')
  assert.deepEqual(
    changes.map(({ id, expiresAt }) => [id, expiresAt]),
    [['yyyyyyyyyyyy', 1_000]],
  )
})
