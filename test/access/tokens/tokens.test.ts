import assert from 'node:assert/strict'
import { createHmac, sign } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import fastify, { type FastifyInstance } from 'fastify'
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { openAuthenticator } from '../../../access/callers.ts'
import { openCertificates } from '../../../access/certificates.ts'
import { Failures } from '../../../access/failures.ts'
import type { Authentication, Authenticator } from '../../../access/identity.ts'
import { parseKey } from '../../../access/keys.ts'
import { tokenRoutes } from '../../../access/tokens/routes.ts'
import { SigningKeys } from '../../../access/tokens/signing-keys.ts'
import { Tokens } from '../../../access/tokens/tokens.ts'
import { MemoryBus } from '../../inference/memory-bus.ts'
import { type IssuingKeys, openIssuingKeys } from '../issuing.ts'

const day = 86_400_000
const minute = 60_000
/** A minute before midnight, UTC. */
const start = Math.floor(1_800_000_000_000 / day) * day + day - minute
const secret = Buffer.alloc(32, 7)
const settings = { secret, issuer: 'https://models.example.com', audience: 'cordon', lifeMs: 15 * minute }

const clock = { now: start }
let keys: IssuingKeys
let tokens: Tokens
let authenticator: Authenticator
let app: FastifyInstance
let url: string

before(async () => {
  keys = await openIssuingKeys({ bus: new MemoryBus(), clock: () => clock.now, source: 'test' })
  app = fastify()
  tokens = new Tokens({ ...settings, keys })
  authenticator = openAuthenticator({
    ...{ keys, tokens, oidc: [], certificates: openCertificates([]), pseudonym: () => 'p', log: pino({ level: 'silent' }) },
    ...{ registry: new Registry(), failures: new Failures({ perMinute: 10, maxSources: 100, linesPerMinute: 0 }) },
  })
  tokenRoutes(app, { tokens, keys, authenticator, issuer: settings.issuer, clock: () => clock.now })
  url = await app.listen({ port: 0, host: '127.0.0.1' })
})
after(async () => {
  await app.close()
  await keys.close()
})

/** A key as a client has it. */
async function client(principal: string, more: object = {}): Promise<{ id: string; secret: string }> {
  const { key } = await keys.create({ principal, ...more })
  const parts = parseKey(key)
  assert.ok(parts !== null)
  return parts
}

interface Answer {
  readonly status: number
  readonly body: { access_token: string; token_type: string; expires_in: number; scope: string; error: string }
  readonly headers: Headers
}

async function ask(form: string | Record<string, string>, headers: Record<string, string> = {}): Promise<Answer> {
  const answer = await fetch(`${url}/oauth2/token`, { method: 'POST', headers, body: new URLSearchParams(form) })
  return { status: answer.status, body: (await answer.json()) as Answer['body'], headers: answer.headers }
}

const grant = { grant_type: 'client_credentials' }
const basic = (id: string, secret: string) => ({ authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` })

async function token(parts: { id: string; secret: string }, form: Record<string, string> = {}): Promise<string> {
  const { status, body } = await ask({ ...grant, ...form }, basic(parts.id, parts.secret))
  assert.equal(status, 200)
  return body.access_token
}

/** What the requests of models pass. */
function use(bearer: string, now = clock.now, address = '192.0.2.1'): Authentication {
  const answer = authenticator.authenticate({ bearer, address, origin: undefined, certificate: null }, now)
  assert.ok(!(answer instanceof Promise), 'a token of ours is verified at once')
  return answer
}

const reason = (answer: Authentication) => (answer.ok ? 'ok' : answer.reason)

describe('a client with the id and the secret of a key', () => {
  it('finds everything by the issuer alone, and gets a token that it can use and others can verify', async () => {
    const { id, secret } = await client('alice', { organization: 'acme', roles: ['batch'] })
    const found = await (await fetch(`${url}/.well-known/oauth-authorization-server`)).json()
    assert.deepEqual(found.token_endpoint_auth_methods_supported, ['client_secret_basic', 'client_secret_post'])
    assert.equal(found.issuer, settings.issuer)
    const endpoint = found.token_endpoint.replace(settings.issuer, url)
    const body = new URLSearchParams(grant)
    const answer = await fetch(endpoint, { method: 'POST', headers: basic(id, secret), body })
    assert.equal(answer.headers.get('cache-control'), 'no-store')
    const { access_token, token_type, expires_in, scope } = await answer.json()
    assert.deepEqual([token_type, expires_in, scope], ['Bearer', 900, 'inference'])

    const used = use(access_token)
    assert.deepEqual(used, {
      ok: true,
      identity: {
        ...{ principal: 'alice', organization: 'acme', method: 'token', keyId: id, roles: ['batch'], capabilities: ['inference'] },
        ...{ createdAt: clock.now, expiresAt: clock.now + 15 * minute, secondFactorAt: null },
      },
    })
    const jwks = createRemoteJWKSet(new URL(found.jwks_uri.replace(settings.issuer, url)))
    const { payload, protectedHeader } = await jwtVerify(access_token, jwks, {
      ...{ issuer: settings.issuer, audience: 'cordon', typ: 'at+jwt', algorithms: ['EdDSA'], currentDate: new Date(clock.now) },
    })
    assert.deepEqual([payload.sub, payload['client_id'], payload['scope'], typeof payload.jti], ['alice', id, 'inference', 'string'])
    assert.equal(protectedHeader.typ, 'at+jwt')
    assert.notEqual(decodeJwt(await token({ id, secret })).jti, payload.jti)
  })

  it('may send both in the form, and ask for less than it may', async () => {
    const { id, secret } = await client('bob', { capabilities: ['inference', 'promotion'] })
    const form = { ...grant, client_id: id, client_secret: secret }
    assert.equal((await ask(form)).body.scope, 'inference promotion')
    const { body } = await ask({ ...form, scope: 'promotion' })
    assert.equal(body.scope, 'promotion')
    const used = use(body.access_token)
    assert.deepEqual(used.ok && used.identity.capabilities, ['promotion'])
    const more = await ask({ ...form, scope: 'inference administration' })
    assert.deepEqual([more.status, more.body.error], [400, 'invalid_scope'])
  })

  const malformed: readonly [
    what: string,
    form: string | Record<string, string>,
    headers: Record<string, string>,
    status: number,
    error: string,
  ][] = [
    ['no grant type', {}, basic('a', 'b'), 400, 'invalid_request'],
    ['another grant type', { grant_type: 'password' }, basic('a', 'b'), 400, 'unsupported_grant_type'],
    ['a parameter twice', 'grant_type=client_credentials&scope=a&scope=b', basic('a', 'b'), 400, 'invalid_request'],
    ['a client twice', { ...grant, client_id: 'a', client_secret: 'b' }, basic('a', 'b'), 400, 'invalid_request'],
    ['two clients', { ...grant, client_id: 'c' }, basic('a', 'b'), 400, 'invalid_request'],
    ['no client', grant, {}, 401, 'invalid_client'],
    ['no secret', { ...grant, client_id: 'a' }, {}, 401, 'invalid_client'],
    ['a bearer', grant, { authorization: 'Bearer x' }, 401, 'invalid_client'],
    ['broken Basic', grant, { authorization: 'Basic %%%' }, 401, 'invalid_client'],
    ['Basic with broken escapes', grant, basic('%zz', 'b'), 401, 'invalid_client'],
    ['another type', '{}', { 'content-type': 'application/json' }, 415, 'invalid_request'],
    ['too much', `grant_type=client_credentials&x=${'a'.repeat(9_000)}`, basic('a', 'b'), 413, 'invalid_request'],
  ]
  for (const [what, form, headers, status, error] of malformed) {
    it(`that sends ${what} is answered ${error}`, async () => {
      const answer = await ask(form, headers)
      assert.deepEqual([answer.status, answer.body.error], [status, error])
      assert.equal(answer.headers.get('cache-control'), 'no-store')
      assert.equal(answer.headers.get('www-authenticate'), status === 401 ? 'Basic realm="cordon"' : null)
    })
  }

  it('is told the same whatever is wrong with it, and after ten times to wait', async () => {
    clock.now += 10 * minute
    const good = await client('carol')
    const revoked = await client('carol')
    await keys.revoke(revoked.id)
    const bound = await client('carol', { addresses: ['10.0.0.0/8'] })
    const wrong = [
      [good.id, 'A'.repeat(43)],
      ['000000000000', good.secret],
      ['x', 'y'],
      [revoked.id, revoked.secret],
      [bound.id, bound.secret],
    ] as const
    const answers = []
    for (const [id, secret] of [...wrong, ...wrong]) answers.push(await ask(grant, basic(id, secret)))
    const [first] = answers
    for (const { status, body } of answers) assert.deepEqual([status, body], [401, first?.body])
    const late = await ask(grant, basic(good.id, good.secret))
    assert.deepEqual([late.status, late.body.error, late.headers.get('retry-after')], [429, 'temporarily_unavailable', '6'])
    clock.now += 10 * minute
    assert.equal((await ask(grant, basic(good.id, good.secret))).status, 200)
  })
})

describe('a token', () => {
  it('lives for its time, and no longer than its key', async () => {
    const dave = await client('dave')
    const bearer = await token(dave)
    assert.equal(reason(use(bearer, clock.now + 15 * minute - 1)), 'ok')
    assert.equal(reason(use(bearer, clock.now + 15 * minute)), 'expired')
    const short = await client('dave', { expiresAt: clock.now + 2 * minute })
    const { body } = await ask(grant, basic(short.id, short.secret))
    assert.equal(body.expires_in, 120)
  })

  it('dies with its key, also for who used it before, and for a stream that runs', async () => {
    const erin = await client('erin')
    const bearer = await token(erin)
    const before = use(bearer)
    assert.ok(before.ok)
    assert.equal(authenticator.isGood(before.identity, clock.now), true)
    await keys.revoke(erin.id)
    assert.equal(reason(use(bearer)), 'revoked')
    assert.equal(authenticator.isGood(before.identity, clock.now), false)
  })

  it('may be used where its key may', async () => {
    const frank = await client('frank')
    const bearer = await token(frank)
    const key = keys.get(frank.id)
    assert.ok(key !== undefined)
    const moved = new Tokens({ ...settings, keys: { get: () => ({ ...key, addresses: ['10.0.0.0/8'] }) } })
    const from = (address: string) =>
      reason(moved.authenticate(bearer, { bearer, address, origin: undefined, certificate: null }, clock.now))
    assert.deepEqual([from('10.1.1.1'), from('192.0.2.1')], ['ok', 'bad-place'])
  })

  it('is worth no more than its key is by now', async () => {
    const gina = await client('gina', { capabilities: ['inference', 'promotion'] })
    const bearer = await token(gina)
    const key = keys.get(gina.id)
    assert.ok(key !== undefined)
    const credentials = { bearer, address: '', origin: undefined, certificate: null }
    const less = new Tokens({ ...settings, keys: { get: () => ({ ...key, capabilities: ['inference'] }) } })
    const answer = less.authenticate(bearer, credentials, clock.now)
    assert.deepEqual(answer.ok && answer.identity.capabilities, ['inference'])
    const others = new Tokens({ ...settings, keys: { get: () => ({ ...key, principal: 'mallory' }) } })
    assert.equal(reason(others.authenticate(bearer, credentials, clock.now)), 'unknown')
  })

  it('of before midnight counts after it, on a node that never signed with that key', async () => {
    const hugo = await client('hugo')
    const midnight = Math.ceil(clock.now / day) * day
    clock.now = midnight - minute
    const old = await token(hugo)
    const other = new Tokens({ ...settings, keys })
    const credentials = { bearer: old, address: '', origin: undefined, certificate: null }
    assert.equal(reason(other.authenticate(old, credentials, midnight + 13 * minute)), 'ok')
    const published = (now: number) => tokens.published(now).map(({ kid }) => kid.slice(7, 17))
    const dayOf = (offset: number) => new Date(midnight + offset * day).toISOString().slice(0, 10)
    assert.deepEqual(published(midnight + minute), [dayOf(-1), dayOf(0), dayOf(1)])
    assert.deepEqual(published(midnight + 20 * minute), [dayOf(0), dayOf(1)])
    clock.now = midnight + minute
    assert.notEqual(decodeProtectedHeader(await token(hugo)).kid, decodeProtectedHeader(old).kid)
    // A day later nobody takes that key, whatever the token says.
    assert.equal(reason(new Tokens({ ...settings, keys, lifeMs: minute }).authenticate(old, credentials, midnight + day)), 'bad-signature')
  })

  it('is not taken from ahead of time', async () => {
    const bearer = await token(await client('ivan'))
    assert.equal(reason(use(bearer, clock.now - minute)), 'ok')
    assert.equal(reason(use(bearer, clock.now - minute - 1_000)), 'not-yet-valid')
  })
})

describe('a forged token', () => {
  const b64 = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const own = () => new SigningKeys(secret).at(clock.now)
  /** Signed as by us, with other claims or another header. */
  async function signed(claims: object, header: object = {}, secretOf: Buffer = secret): Promise<string> {
    const jane = await client('jane')
    const { privateKey, kid } = new SigningKeys(secretOf).at(clock.now)
    const seconds = Math.floor(clock.now / 1_000)
    const all = {
      ...{
        iss: settings.issuer,
        aud: 'cordon',
        sub: 'jane',
        client_id: jane.id,
        iat: seconds,
        exp: seconds + 900,
        jti: 'j',
        scope: 'inference',
      },
      ...claims,
    }
    const input = `${b64({ alg: 'EdDSA', typ: 'at+jwt', kid, ...header })}.${b64(all)}`
    return `${input}.${sign(null, Buffer.from(input), privateKey).toString('base64url')}`
  }
  const answerTo = (bearer: string) =>
    reason(tokens.authenticate(bearer, { bearer, address: '', origin: undefined, certificate: null }, clock.now))

  it('is what these tests can make, where nothing is wrong with it', async () => {
    const bearer = await signed({})
    assert.equal(tokens.takes(bearer), true)
    assert.equal(answerTo(bearer), 'ok')
  })

  const claims: readonly [what: string, claims: object, reason: string][] = [
    ['of another issuer', { iss: 'https://evil.example.com' }, 'wrong-issuer'],
    ['for another audience', { aud: 'other' }, 'wrong-audience'],
    ['for several audiences', { aud: ['cordon', 'other'] }, 'bad-claims'],
    ['of another principal', { sub: 'mallory' }, 'unknown'],
    ['of no key', { client_id: '000000000000' }, 'unknown'],
    ['that has expired', { exp: Math.floor(start / 1_000) - 1 }, 'expired'],
    ['without an end', { exp: undefined }, 'bad-claims'],
    ['with an end in words', { exp: '2100-01-01' }, 'bad-claims'],
  ]
  for (const [what, changed, expected] of claims)
    it(`${what} is refused: ${expected}`, async () => assert.equal(answerTo(await signed(changed)), expected))

  const headers: readonly [what: string, header: object][] = [
    ['alg none', { alg: 'none' }],
    ['alg HS256', { alg: 'HS256' }],
    ['alg Ed25519, which we do not write', { alg: 'Ed25519' }],
    ['an ID token', { typ: 'JWT' }],
    ['a key of its own', { jwk: {} }],
    ['a key from elsewhere', { jku: 'https://evil.example.com/jwks' }],
    ['a critical extension', { crit: ['b64'], b64: false }],
    ['another kid', { kid: 'cordon.2020-01-01.00000000' }],
  ]
  for (const [what, header] of headers)
    it(`with ${what} is refused`, async () => assert.equal(answerTo(await signed({}, header)), 'bad-signature'))

  it('under another secret, without a signature, or with a byte changed is refused', async () => {
    assert.equal(answerTo(await signed({}, {}, Buffer.alloc(32, 8))), 'bad-signature')
    const good = await signed({})
    const [header = '', payload = '', signature = ''] = good.split('.')
    const changed = b64({ ...decodeJwt(good), sub: 'mallory' })
    assert.equal(answerTo(`${header}.${changed}.${signature}`), 'bad-signature')
    for (const broken of [`${header}.${payload}.`, `${header}.${payload}`, `${good}.x`, `${good}=`, 'a.b.c', '', '.'.repeat(3_000)])
      assert.equal(answerTo(broken), 'malformed', broken.slice(0, 40))
  })

  it('signed with the published key as if it were a secret (key confusion) is refused', async () => {
    const { publicKey, kid } = own()
    for (const material of [publicKey.export({ format: 'der', type: 'spki' }), publicKey.export({ format: 'pem', type: 'spki' })]) {
      const input = `${b64({ alg: 'HS256', typ: 'at+jwt', kid })}.${b64(decodeJwt(await signed({})))}`
      const mac = createHmac('sha512', material).update(input).digest('base64url')
      assert.equal(answerTo(`${input}.${mac}`), 'bad-signature')
    }
  })

  it('of another kind goes to those who know that kind, and none of them takes it', async () => {
    const bearer = `${b64({ alg: 'none', typ: 'at+jwt' })}.${b64(decodeJwt(await signed({})))}.`
    assert.equal(tokens.takes(bearer), false)
    clock.now += 10 * minute
    const answer = await authenticator.authenticate({ bearer, address: '198.51.100.1', origin: undefined, certificate: null }, clock.now)
    assert.equal(answer.ok, false)
  })

  it('in any number leaves no more in memory than the bound', async () => {
    const few = new Tokens({ ...settings, keys, maxTokens: 2 })
    const bearers = [await signed({ jti: '1' }), await signed({ jti: '2' }), await signed({ jti: '3' })]
    const all = () =>
      bearers.map((bearer) => reason(few.authenticate(bearer, { bearer, address: '', origin: undefined, certificate: null }, clock.now)))
    assert.deepEqual([all(), all()], [Array(3).fill('ok'), Array(3).fill('ok')])
    assert.equal(few.size, 2)
  })
})
