import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AccessError } from '../../access/errors.ts'
import { keyCommands } from '../../access/key-commands.ts'
import { carryOutKeyOrder } from '../../access/key-orders.ts'
import { decode } from '../../bus/codec.ts'
import type { Key } from '../../schemas/index.ts'
import { MemoryBus, unavailable, until } from '../inference/memory-bus.ts'
import { type IssuingKeys, type IssuingOptions, openIssuingKeys } from './issuing.ts'

interface Given {
  readonly bus: MemoryBus
  readonly clock: { now: number }
  readonly keys: IssuingKeys
}

async function given(options: Partial<IssuingOptions> = {}): Promise<Given> {
  const bus = new MemoryBus()
  const clock = { now: 1_000_000 }
  const keys = await openIssuingKeys({ bus, clock: () => clock.now, source: 'test', ...options })
  return { bus, clock, keys }
}

const code = (expected: string) => (error: unknown) => error instanceof AccessError && error.code === expected

test('a created key works at once, and only its hash is on the log', async () => {
  const { bus, clock, keys } = await given()
  const { key, keyId } = await keys.create({ principal: 'alice', organization: 'acme' })
  assert.deepEqual(keys.verify(key, clock.now), { ok: true, principal: 'alice', organization: 'acme', keyId, createdAt: clock.now })
  const secret = key.slice(-43)
  for (const record of bus.records) {
    assert.ok(!JSON.stringify(record.headers).includes(secret))
    assert.ok(!Buffer.from(record.value ?? []).includes(secret))
  }
  assert.equal(keys.get(keyId)?.principal, 'alice')
  assert.equal(keys.list().length, 1)
  await keys.close()
})

test('a registry opened later knows the same keys', async () => {
  const { bus, clock, keys } = await given()
  const { key } = await keys.create({ principal: 'alice' })
  const later = await openIssuingKeys({ bus, clock: () => clock.now, source: 'later' })
  assert.equal(later.verify(key, clock.now).ok, true)
  await keys.close()
  await later.close()
})

test('each wrong key is refused, with the reason for the log', async () => {
  const { clock, keys } = await given()
  const { key, keyId } = await keys.create({ principal: 'alice', expiresAt: clock.now + 10 })
  const rows: [string, string][] = [
    ['', 'malformed'],
    ['x'.repeat(10_000), 'malformed'],
    [`cordon_000000000000_${'a'.repeat(43)}`, 'unknown'],
    [`cordon_${keyId}_${'a'.repeat(43)}`, 'unknown'],
  ]
  for (const [bearer, reason] of rows) assert.deepEqual(keys.verify(bearer, clock.now), { ok: false, reason })
  assert.deepEqual(keys.verify(key, clock.now + 10), { ok: false, reason: 'expired' })
  await keys.close()
})

test('a revoked key is dead in every registry that has read so', async () => {
  const { bus, clock, keys } = await given()
  const other = await openIssuingKeys({ bus, clock: () => clock.now, source: 'other' })
  const { key, keyId } = await keys.create({ principal: 'alice' })
  await until(() => other.verify(key, clock.now).ok)
  const revoked = await keys.revoke(keyId)
  assert.equal(revoked?.revokedAt, clock.now)
  assert.deepEqual(keys.verify(key, clock.now), { ok: false, reason: 'revoked' })
  await until(() => !other.verify(key, clock.now).ok)
  assert.equal(await keys.revoke('000000000000'), null)
  assert.deepEqual(await keys.revoke(keyId), revoked, 'revoking twice changes nothing')
  await keys.close()
  await other.close()
})

test('rotation: both keys work until the old one dies, and the secret is made once, by its owner', async () => {
  const { clock, keys } = await given()
  const old = await keys.create({ principal: 'alice', organization: 'acme' })
  await keys.create({ principal: 'bob' })
  const [successor] = await keys.rotate('alice', clock.now + 600)
  assert.deepEqual(await keys.rotate('alice', clock.now + 600), [successor], 'a rotation under way is not begun again')
  assert.equal(keys.verify(`cordon_${successor}_${'a'.repeat(43)}`, clock.now).ok, false)
  const claimed = await keys.claim('alice')
  assert.equal(claimed?.keyId, successor)
  assert.equal(await keys.claim('alice'), null)
  const both = [old.key, claimed?.key ?? '']
  assert.deepEqual(
    both.map((key) => keys.verify(key, clock.now + 599).ok),
    [true, true],
  )
  assert.deepEqual(
    both.map((key) => keys.verify(key, clock.now + 600).ok),
    [false, true],
  )
  await keys.close()
})

test('a successor is claimed by its id, by the key it replaces, or by its principal', async () => {
  const { clock, keys } = await given()
  for (const by of ['id', 'replaces', 'principal'] as const) {
    const { keyId } = await keys.create({ principal: by })
    const [successor = ''] = await keys.rotate(keyId, clock.now + 100)
    const claimed = await keys.claim({ id: successor, replaces: keyId, principal: by }[by])
    assert.equal(claimed?.keyId, successor)
  }
  await keys.close()
})

test('two claims at once: one secret', async () => {
  const { clock, keys } = await given()
  await keys.create({ principal: 'alice' })
  await keys.rotate('alice', clock.now + 100)
  const claims = await Promise.all([keys.claim('alice'), keys.claim('alice')])
  assert.equal(claims.filter((claim) => claim !== null).length, 1)
  await keys.close()
})

test('the number of keys is bounded', async () => {
  const { clock, keys } = await given({ maxKeys: 2 })
  await keys.create({ principal: 'alice' })
  await keys.create({ principal: 'alice' })
  await assert.rejects(keys.create({ principal: 'alice' }), code('KEY_LIMIT'))
  await assert.rejects(keys.rotate('alice', clock.now + 100), code('KEY_LIMIT'))
  assert.equal(keys.list().length, 2)
  await keys.close()
})

test('owners that cannot be are refused', async () => {
  const { clock, keys } = await given()
  const bad = [{ principal: '' }, { principal: 'a b' }, { principal: 'anonymous' }, { principal: 'a'.repeat(129) }]
  for (const owner of bad) await assert.rejects(keys.create(owner), code('PRINCIPAL_INVALID'))
  await assert.rejects(keys.create({ principal: 'a', organization: '\n' }), code('PRINCIPAL_INVALID'))
  await assert.rejects(keys.create({ principal: 'a', expiresAt: clock.now }), code('PRINCIPAL_INVALID'))
  await keys.close()
})

test('a bus that fails makes no key, and the next change goes through', async () => {
  const { bus, keys } = await given()
  bus.failure = unavailable()
  await assert.rejects(keys.create({ principal: 'alice' }), { code: 'BUS_UNAVAILABLE' })
  assert.equal(keys.list().length, 0)
  bus.failure = undefined
  await keys.create({ principal: 'alice' })
  assert.deepEqual(
    bus.of('keys').map((record) => decode(record).kind),
    ['key'],
  )
  await keys.close()
  await assert.rejects(keys.create({ principal: 'alice' }), code('CLOSED'))
})

test('a key that does not come back in the view is said to be durable but not visible', async () => {
  const { bus, keys } = await given({ visibleWithinMs: 20 })
  bus.silent = true
  await assert.rejects(keys.create({ principal: 'alice' }), code('KEY_NOT_VISIBLE'))
  assert.equal(bus.of('keys').length, 1)
  await keys.close()
})

test('what was ordered twice is done once, and only a new key can be put on record', async () => {
  const { bus, clock, keys } = await given()
  const { keyId } = await keys.create({ principal: 'alice' })
  const key = keys.get(keyId) as Key
  assert.deepEqual(await keys.writer.create(key), key)
  await assert.rejects(keys.writer.create({ ...key, hash: 'f'.repeat(64) }), code('KEY_INVALID'))
  for (const change of [{ hash: null }, { state: 'pending' }, { revokedAt: clock.now }, { replaces: keyId }] as const) {
    await assert.rejects(keys.writer.create({ ...key, id: '0'.repeat(12), ...change }), code('KEY_INVALID'))
  }
  await keys.rotate('alice', clock.now + 600)
  const hash = 'a'.repeat(64)
  const claimed = await keys.writer.claim('alice', hash)
  assert.deepEqual(await keys.writer.claim('alice', hash), claimed)
  assert.equal(await keys.writer.claim('alice', 'b'.repeat(64)), null)
  // The key; its end and its successor; the claim.
  assert.equal(bus.of('keys').length, 4)
  await keys.close()
})

test('an order about keys never carries a secret, and what it makes never carries a hash', async () => {
  const { clock, keys } = await given()
  const orders: string[] = []
  const commands = keyCommands({
    keys,
    clock: () => clock.now,
    order: async (order, by) => {
      const made = await carryOutKeyOrder(order, keys.writer, clock.now)
      orders.push(JSON.stringify({ order, by, made }))
      assert.ok(!JSON.stringify(made).includes(keys.list().at(-1)?.hash ?? '-'))
      return made
    },
  })
  const created = await commands.create({ principal: 'alice' }, 'ann')
  await keys.rotate('alice', clock.now + 600)
  const claimed = await commands.claim('alice', 'ann')
  assert.equal(keys.verify(claimed?.key ?? '', clock.now).ok, true)
  for (const { key } of [created, claimed ?? created]) for (const order of orders) assert.ok(!order.includes(key.slice(-43)))
  assert.equal(orders.length, 2)
  await keys.close()
})
