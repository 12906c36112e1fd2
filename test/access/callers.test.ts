import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { type AuthenticatorOptions, openAuthenticator } from '../../access/callers.ts'
import { CertificateRule, openCertificates } from '../../access/certificates.ts'
import { Failures } from '../../access/failures.ts'
import type { Authentication, Authenticator, ClientCertificate, Credentials, Identity } from '../../access/identity.ts'
import { Key } from '../../schemas/index.ts'
import { MemoryBus } from '../inference/memory-bus.ts'
import { type IssuingKeys, openIssuingKeys } from './issuing.ts'

interface Given {
  readonly clock: { now: number }
  readonly keys: IssuingKeys
  readonly callers: Authenticator
  readonly registry: Registry
  readonly logged: () => string
  /** How often a key was looked at. */
  readonly looks: () => number
}

async function given(options: Partial<AuthenticatorOptions> = {}): Promise<Given> {
  const clock = { now: 1_000_000 }
  const keys = await openIssuingKeys({ bus: new MemoryBus(), clock: () => clock.now, source: 'test' })
  const registry = new Registry()
  let lines = ''
  let looks = 0
  const log = pino(
    { level: 'info' },
    new Writable({
      write(chunk, _encoding, done) {
        lines += String(chunk)
        done()
      },
    }),
  )
  const callers = openAuthenticator({
    keys: {
      get: keys.get,
      verify: (...asked) => {
        looks++
        return keys.verify(...asked)
      },
    },
    oidc: [],
    certificates: openCertificates([]),
    failures: new Failures({ perMinute: 6, maxSources: 100, linesPerMinute: 100 }),
    pseudonym: () => 'p5eud0nym',
    log,
    registry,
    ...options,
  })
  return { clock, keys, callers, registry, logged: () => lines, looks: () => looks }
}

const bring = (change: Partial<Credentials>): Credentials => ({
  bearer: undefined,
  address: '192.0.2.1',
  origin: undefined,
  certificate: null,
  ...change,
})

function said(answer: Authentication | Promise<Authentication>): string {
  assert.ok(!(answer instanceof Promise), 'nothing has to be waited for')
  return answer.ok ? answer.identity.principal : answer.reason
}

const wrong = `cordon_000000000000_${'a'.repeat(43)}`

test('a key says who it is and what it may, in one object for all its requests', async () => {
  const { callers, keys, clock } = await given()
  const { key, keyId } = await keys.create({ principal: 'alice', organization: 'acme', roles: ['analyst'], capabilities: ['promotion'] })
  const answer = callers.authenticate(bring({ bearer: key }), clock.now)
  const identity: Identity = {
    ...{ principal: 'alice', organization: 'acme', method: 'key', keyId, roles: ['analyst'], capabilities: ['promotion'] },
    ...{ createdAt: clock.now, expiresAt: null, secondFactorAt: null },
  }
  assert.deepEqual(answer, { ok: true, identity })
  const again = callers.authenticate(bring({ bearer: key }), clock.now)
  assert.ok(!(again instanceof Promise) && !(answer instanceof Promise) && again.ok && answer.ok && again.identity === answer.identity)
})

test('a key is no longer good once it is revoked, or its time is over', async () => {
  const { callers, keys, clock } = await given()
  const { key, keyId } = await keys.create({ principal: 'alice', expiresAt: clock.now + 100 })
  const answer = callers.authenticate(bring({ bearer: key }), clock.now)
  assert.ok(!(answer instanceof Promise) && answer.ok)
  assert.ok(callers.isGood(answer.identity, clock.now + 99))
  assert.equal(callers.isGood(answer.identity, clock.now + 100), false)
  await keys.revoke(keyId)
  assert.equal(callers.isGood(answer.identity, clock.now), false)
})

for (const [what, use, place, expected] of [
  ['anywhere', {}, { address: '203.0.113.9' }, 'alice'],
  ['its network', { addresses: ['10.0.0.0/8'] }, { address: '10.9.8.7' }, 'alice'],
  ['its network, over an IPv6 socket', { addresses: ['10.0.0.0/8'] }, { address: '::ffff:10.9.8.7' }, 'alice'],
  ['its address', { addresses: ['192.0.2.7'] }, { address: '192.0.2.7' }, 'alice'],
  ['the next address', { addresses: ['192.0.2.7'] }, { address: '192.0.2.8' }, 'bad-place'],
  ['outside', { addresses: ['10.0.0.0/8', '192.0.2.0/24'] }, { address: '11.0.0.1' }, 'bad-place'],
  ['its IPv6 network', { addresses: ['2001:db8::/32'] }, { address: '2001:db8:ffff::1' }, 'alice'],
  ['IPv6 outside', { addresses: ['2001:db8::/32', '0.0.0.0/0'] }, { address: '2001:db9::1' }, 'bad-place'],
  ['a mapped network', { addresses: ['::ffff:192.0.2.0/120'] }, { address: '192.0.2.7' }, 'alice'],
  ['no address', { addresses: ['0.0.0.0/0', '::/0'] }, { address: '' }, 'bad-place'],
  ['an address in short', { addresses: ['10.0.0.0/8'] }, { address: '10.1' }, 'bad-place'],
  ['its page', { origins: ['https://app.example.com'] }, { origin: 'https://app.example.com' }, 'alice'],
  ['another page', { origins: ['https://app.example.com'] }, { origin: 'https://app.example.com.evil.example' }, 'bad-place'],
  ['no page', { origins: ['https://app.example.com'] }, {}, 'bad-place'],
  ['its page elsewhere', { origins: ['https://a.example'], addresses: ['10.0.0.0/8'] }, { origin: 'https://a.example' }, 'bad-place'],
] as const)
  test(`a key used from ${what}: ${expected}`, async () => {
    const { callers, keys, clock } = await given()
    const { key } = await keys.create({ principal: 'alice', ...use })
    assert.equal(said(callers.authenticate(bring({ bearer: key, ...place }), clock.now)), expected)
  })

test('a key that is bound to a place is refused by whoever does not know the place, and a wrong secret says nothing of it', async () => {
  const { keys, callers, clock } = await given()
  const { key, keyId } = await keys.create({ principal: 'alice', addresses: ['10.0.0.0/8'] })
  assert.deepEqual(keys.verify(key, clock.now), { ok: false, reason: 'bad-place' })
  assert.equal(said(callers.authenticate(bring({ bearer: `cordon_${keyId}_${'a'.repeat(43)}` }), clock.now)), 'unknown')
})

test('a key that is to be bound to what is no place is not made', async () => {
  const { keys } = await given()
  for (const use of [
    { addresses: ['10.0.0.0/33'] },
    { addresses: ['example.com'] },
    { origins: ['https://a.example/'] },
    { origins: ['*'] },
  ])
    await assert.rejects(keys.create({ principal: 'alice', ...use }), { code: 'KEY_INVALID' })
})

test('a record of before keys were bound is one for inference from anywhere, and a successor is bound like what it succeeds', async () => {
  const old = {
    ...{ id: 'abcdefghijkl', principal: 'alice', organization: null, hash: null, state: 'active' },
    ...{ createdAt: 0, expiresAt: null, revokedAt: null, replaces: null },
  }
  const { addresses, origins, roles, capabilities } = Key.parse(old)
  assert.deepEqual({ addresses, origins, roles, capabilities }, { addresses: [], origins: [], roles: [], capabilities: ['inference'] })
  const { keys, clock } = await given()
  const { keyId } = await keys.create({ principal: 'bob', addresses: ['10.0.0.0/8'], roles: ['r'], capabilities: ['promotion'] })
  const [successor = ''] = await keys.rotate(keyId, clock.now + 1)
  const { addresses: where, roles: what, capabilities: forWhat } = keys.get(successor) ?? Key.parse(old)
  assert.deepEqual([where, what, forWhat], [['10.0.0.0/8'], ['r'], ['promotion']])
})

test('beyond six failures a minute nothing that comes from there is looked at, not even a good key; elsewhere it works', async () => {
  const { callers, keys, clock, looks } = await given()
  const { key } = await keys.create({ principal: 'alice' })
  for (let i = 0; i < 6; i++) assert.equal(said(callers.authenticate(bring({ bearer: wrong }), clock.now)), 'unknown')
  assert.equal(looks(), 6)
  assert.deepEqual(callers.authenticate(bring({ bearer: key }), clock.now), { ok: false, reason: 'too-many-failures', retryMs: 10_000 })
  assert.equal(looks(), 6)
  assert.equal(said(callers.authenticate(bring({ bearer: key, address: '192.0.2.2' }), clock.now)), 'alice')
  assert.equal(said(callers.authenticate(bring({ bearer: key }), clock.now + 10_000)), 'alice')
})

test('every refused credential counts alike; what was not tried, and what is not their fault, does not', async () => {
  const { callers, keys, clock } = await given()
  const revoked = await keys.create({ principal: 'alice' })
  await keys.revoke(revoked.keyId)
  const expired = await keys.create({ principal: 'alice', expiresAt: clock.now + 1 })
  clock.now += 1
  for (let i = 0; i < 10; i++) assert.equal(said(callers.authenticate(bring({}), clock.now)), 'missing')
  const bearers = [wrong, 'x', revoked.key, expired.key, 'a.b.c', wrong]
  assert.deepEqual(
    [...bearers, wrong].map((bearer) => said(callers.authenticate(bring({ bearer }), clock.now))),
    ['unknown', 'malformed', 'revoked', 'expired', 'malformed', 'unknown', 'too-many-failures'],
  )
})

test('failures are counted by reason and logged once a minute, and neither names an address or a key', async () => {
  const { callers, clock, registry, logged } = await given()
  for (let i = 0; i < 8; i++) callers.authenticate(bring({ bearer: wrong }), clock.now)
  const metrics = await registry.metrics()
  assert.match(metrics, /^cordon_authentication_failures_total\{reason="unknown"\} 6$/m)
  assert.match(metrics, /^cordon_authentication_failures_total\{reason="too-many-failures"\} 2$/m)
  const lines = logged().trim().split('\n')
  assert.equal(lines.length, 1)
  assert.match(lines[0] ?? '', /"source":"p5eud0nym","reason":"unknown","failures":1/)
  for (const secret of ['192.0.2.1', 'aaaaaaaa', '000000000000']) assert.ok(!`${metrics}${logged()}`.includes(secret))
})

const certificate: ClientCertificate = {
  fingerprint: 'ab'.repeat(32),
  serial: '01',
  commonName: 'batch',
  alternativeNames: ['DNS:batch.example', 'URI:spiffe://example.org/batch'],
  validFrom: 500_000,
  validTo: 2_000_000,
}
const anyone = { principal: 'batch', organization: 'acme', roles: ['machine'] }

for (const [what, rule, expected] of [
  ['its fingerprint', { fingerprint: 'AB:'.repeat(31) + 'AB' }, 'batch'],
  ['its URI', { uri: 'spiffe://example.org/batch' }, 'batch'],
  ['its DNS name', { dns: 'batch.example' }, 'batch'],
  ['its common name', { commonName: 'batch' }, 'batch'],
  ['all of them', { uri: 'spiffe://example.org/batch', dns: 'batch.example', commonName: 'batch' }, 'batch'],
  ['its common name and the URI of another', { uri: 'spiffe://example.org/other', commonName: 'batch' }, 'unknown'],
  ['a longer URI', { uri: 'spiffe://example.org/batch/7' }, 'unknown'],
  ['a DNS name that is its URI', { dns: 'spiffe://example.org/batch' }, 'unknown'],
] as const)
  test(`a certificate by ${what}: ${expected}`, async () => {
    const { callers, clock } = await given({ certificates: openCertificates([CertificateRule.parse({ ...anyone, ...rule })]) })
    assert.equal(said(callers.authenticate(bring({ certificate }), clock.now)), expected)
  })

test('a certificate counts for as long as it is valid, on a connection that lasts longer too', async () => {
  const { callers, clock } = await given({ certificates: openCertificates([CertificateRule.parse({ ...anyone, commonName: 'batch' })]) })
  const at = (now: number) => said(callers.authenticate(bring({ certificate }), now))
  assert.deepEqual([at(499_999), at(500_000), at(1_999_999), at(2_000_000)], ['not-yet-valid', 'batch', 'batch', 'expired'])
  const answer = callers.authenticate(bring({ certificate }), clock.now)
  assert.ok(!(answer instanceof Promise) && answer.ok)
  assert.deepEqual([callers.isGood(answer.identity, 1_999_999), callers.isGood(answer.identity, 2_000_000)], [true, false])
  assert.equal(answer.identity.keyId, 'ab'.repeat(16))
})

test('a rule that asks for nothing is none', () => {
  assert.equal(CertificateRule.safeParse(anyone).success, false)
})

test('a bearer that is refused is not saved by a certificate', async () => {
  const { callers, clock } = await given({ certificates: openCertificates([CertificateRule.parse({ ...anyone, commonName: 'batch' })]) })
  assert.equal(said(callers.authenticate(bring({ certificate, bearer: wrong }), clock.now)), 'unknown')
})

test('our own tokens are asked first, and a token of nobody is of nobody', async () => {
  const identity: Identity = {
    ...{ principal: 'app', organization: null, method: 'token', keyId: 'c1', roles: [], capabilities: ['inference'] },
    ...{ createdAt: null, expiresAt: null, secondFactorAt: null },
  }
  const tokens: AuthenticatorOptions['tokens'] = {
    takes: (bearer) => bearer.startsWith('cordon_at_'),
    authenticate: () => ({ ok: true, identity }),
    isGood: (_identity, now) => now < 5,
  }
  const { callers, clock } = await given({ tokens })
  assert.equal(said(callers.authenticate(bring({ bearer: 'cordon_at_x' }), clock.now)), 'app')
  assert.deepEqual([callers.isGood(identity, 4), callers.isGood(identity, 5)], [true, false])
  const other = await given()
  assert.equal(other.callers.isGood(identity, 4), false)
  assert.equal(other.callers.isGood({ ...identity, method: 'oidc' }, 4), false, 'an identity that this authenticator never made')
})
