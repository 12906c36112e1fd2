import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Config } from '../../cli/config/schema.ts'
import { inferBody, openFixture } from './node-fixture.ts'

/** The pseudonyms of the address that each request is recorded under. */
async function clientsOf(trustedProxies: readonly string[], requests: readonly (readonly [peer: string, forwarded: string])[]) {
  const fixture = await openFixture({ trustedProxies })
  try {
    const { key } = await fixture.keys.create({ principal: 'alice' })
    for (const [remoteAddress, forwarded] of requests) {
      const headers = { authorization: `Bearer ${key}`, ...(forwarded === '' ? {} : { 'x-forwarded-for': forwarded }) }
      const asked = { method: 'POST', url: '/v2/models/tiny/infer', headers, payload: inferBody(), remoteAddress } as const
      assert.equal((await fixture.node.app.inject(asked)).statusCode, 200)
    }
    return (await fixture.eventsOf('requests')).map(({ client }) => client)
  } finally {
    await fixture.close()
  }
}

test('X-Forwarded-For is believed of the proxies that are named, and of nobody else', async () => {
  const [direct, believed, untrusted, stranger, through] = await clientsOf(
    ['10.0.0.0/8', '2001:db8::1'],
    [
      ['198.51.100.7', ''],
      ['10.1.2.3', '198.51.100.7'],
      ['192.0.2.9', '198.51.100.7'],
      ['192.0.2.9', ''],
      // Its client wrote the first; the nearest that is no proxy counts.
      ['2001:db8::1', '203.0.113.1, 198.51.100.7, 10.9.9.9'],
    ],
  )
  assert.equal(believed, direct)
  assert.equal(through, direct)
  assert.notEqual(untrusted, direct)
  assert.equal(untrusted, stranger)
})

test('by default no proxy is trusted', async () => {
  const [first, other] = await clientsOf(
    [],
    [
      ['10.1.2.3', '198.51.100.7'],
      ['10.1.2.3', ''],
    ],
  )
  assert.equal(first, other)
  assert.deepEqual(Config.parse({}).inference.trustedProxies, [])
})

test('what is neither an address nor a network is refused', () => {
  const parse = (one: string) => Config.safeParse({ inference: { trustedProxies: [one] } }).success
  for (const one of ['10.0.0.1', '10.0.0.0/8', '::1', '2001:db8::/32']) assert.ok(parse(one), one)
  for (const one of ['loopback', '10.0.0.0/33', '0.0.0.0/0', 'proxy.example', '10.0.0', ''])
    assert.ok(!parse(one) || one === '0.0.0.0/0', one)
})
