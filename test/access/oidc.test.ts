import assert from 'node:assert/strict'
import { createHmac, createPublicKey } from 'node:crypto'
import { after, beforeEach, test } from 'node:test'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { openAuthenticator } from '../../access/callers.ts'
import { openCertificates } from '../../access/certificates.ts'
import { Failures } from '../../access/failures.ts'
import type { Authentication, Authenticator, ClientCertificate, Credentials } from '../../access/identity.ts'
import { openDownloads } from '../../access/oidc/download.ts'
import { OidcIssuer } from '../../access/oidc/issuer.ts'
import { IssuerSettings } from '../../access/oidc/settings.ts'
import { audience, openProvider } from './provider.ts'

const minute = 60_000
const provider = await openProvider()
const second = await openProvider()
const downloads = openDownloads()
const clock = { now: 0 }

beforeEach(() => {
  clock.now = Date.now()
})
after(async () => {
  await downloads.close()
  await provider.close()
  await second.close()
})

function settingsOf(change: Partial<IssuerSettings> = {}): IssuerSettings {
  return IssuerSettings.parse({ alias: 'idp', issuer: provider.issuer, audience, ...change })
}

function given(...changes: Partial<IssuerSettings>[]): Authenticator {
  const all = changes.length === 0 ? [{}] : changes
  const oidc = all.map((change) => {
    return new OidcIssuer({ settings: settingsOf(change), download: downloads.download, clock: () => clock.now, onError: () => {} })
  })
  return openAuthenticator({
    keys: { verify: () => ({ ok: false, reason: 'unknown' }), get: () => undefined },
    oidc,
    certificates: openCertificates([]),
    failures: new Failures({ perMinute: 0, maxSources: 100, linesPerMinute: 0 }),
    pseudonym: (address) => address,
    log: pino({ level: 'silent' }),
    registry: new Registry(),
  })
}

const from = (bearer: string, certificate: ClientCertificate | null = null): Credentials => ({
  bearer,
  address: '192.0.2.1',
  origin: undefined,
  certificate,
})

const reasonOf = async (asked: Authentication | Promise<Authentication>) => {
  const answer = await asked
  return answer.ok ? answer.identity.principal : answer.reason
}

const ask = (authenticator: Authenticator, token: string) => reasonOf(authenticator.authenticate(from(token), clock.now))
const seconds = (ms: number) => Math.floor((clock.now + ms) / 1_000)

test('a token that the provider issued says who it is, the first time by its keys, then at once', async () => {
  const authenticator = given({ capabilities: { inference: ['scope:infer'], promotion: ['scope:promote'] } })
  const token = await provider.token()
  const first = authenticator.authenticate(from(token), clock.now)
  assert.ok(first instanceof Promise)
  const answer = await first
  assert.ok(answer.ok)
  const { principal, method, keyId, capabilities, organization, secondFactorAt } = answer.identity
  assert.deepEqual(
    { principal, method, keyId, capabilities, organization, secondFactorAt },
    { principal: 'idp:batch', method: 'oidc', keyId: 'idp:batch', capabilities: ['inference'], organization: null, secondFactorAt: null },
  )
  assert.deepEqual(authenticator.authenticate(from(token), clock.now), answer, 'and not a promise')
  assert.ok(authenticator.isGood(answer.identity, clock.now))
})

for (const [what, claims, reason] of [
  ['expired', { iat: -3_600, exp: -31 }, 'expired'],
  ['expired within the skew', { iat: -3_600, exp: -20 }, 'idp:ann'],
  ['older than any may be, whatever it says', { iat: -90_000, exp: 600 }, 'expired'],
  ['valid from a later time on', { nbf: 120 }, 'not-yet-valid'],
  ['issued in the future', { iat: 120 }, 'not-yet-valid'],
  ['without an end', { exp: null }, 'bad-claims'],
  ['with an end that is no number', { exp: 'never' }, 'bad-claims'],
  ['for somebody else', { aud: 'urn:other' }, 'wrong-audience'],
  ['for several, us among them', { aud: ['urn:other', audience] }, 'idp:ann'],
  ['for nobody', { aud: undefined }, 'wrong-audience'],
  ['of another issuer', { iss: 'https://evil.example' }, 'wrong-issuer'],
  ['of the issuer with a slash', { iss: `${provider.issuer}/` }, 'wrong-issuer'],
  ['of nobody', { sub: undefined }, 'bad-claims'],
  ['of something that is no name', { sub: { $ne: 1 } }, 'bad-claims'],
  ['of a name that is too long', { sub: 'a'.repeat(125) }, 'bad-claims'],
  ['bound to a key that nobody can check here', { cnf: { jkt: 'a'.repeat(43) } }, 'bad-claims'],
] as const)
  test(`a token ${what}: ${reason}`, async () => {
    const times = ['iat', 'exp', 'nbf'].flatMap((name) => {
      const value: unknown = Object.entries(claims).find(([claim]) => claim === name)?.[1]
      return typeof value === 'number' ? [[name, seconds(value * 1_000)]] : []
    })
    const said: Record<string, unknown> = { ...claims, ...Object.fromEntries(times) }
    for (const [name, value] of Object.entries(said)) if (value === null) said[name] = undefined
    assert.equal(await ask(given(), await provider.sign(said)), reason)
  })

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

test('nobody signs for the issuer: not with nothing, not with its public key as a secret, not with a key in the header', async () => {
  const authenticator = given()
  const fetched = provider.fetches
  const [, claims] = (await provider.sign()).split('.')
  const none = `${part({ alg: 'none', typ: 'at+jwt' })}.${claims}.`
  assert.equal(await ask(authenticator, none), 'bad-signature')
  assert.equal(await ask(authenticator, await provider.sign({}, { typ: 'logout+jwt' })), 'bad-claims')
  assert.equal(provider.fetches, fetched, 'nobody has to be asked for that')
  assert.equal(await ask(authenticator, `${part({ alg: 'nOnE', typ: 'at+jwt' })}.${claims}.`), 'bad-signature')

  const { kid } = provider.publicKey()
  const pem = createPublicKey({ key: { ...provider.publicKey() }, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
  const signed = `${part({ alg: 'HS256', typ: 'at+jwt', kid })}.${claims}`
  const confused = `${signed}.${createHmac('sha256', pem).update(signed).digest('base64url')}`
  assert.equal(await ask(authenticator, confused), 'bad-signature')

  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true })
  const forge = (header: Record<string, unknown>) =>
    new SignJWT({ iss: provider.issuer, aud: audience, sub: 'ann', iat: seconds(0), exp: seconds(minute) })
      .setProtectedHeader({ alg: 'RS256', typ: 'at+jwt', ...header })
      .sign(privateKey)
  assert.equal(await ask(authenticator, await forge({ kid })), 'bad-signature')
  assert.equal(await ask(authenticator, await forge({ kid, jwk: await exportJWK(publicKey) })), 'bad-signature')
  assert.equal(await ask(authenticator, await forge({ kid, jku: 'http://127.0.0.1:9/jwks' })), 'bad-signature')
  assert.equal(await ask(authenticator, `${(await provider.sign()).slice(0, -4)}AAAA`), 'bad-signature')
})

test('a token of a type that does not count is refused: an ID token where only access tokens do', async () => {
  const strict = { types: ['at+jwt'] }
  assert.equal(await ask(given(strict), await provider.sign({}, { typ: 'JWT' })), 'bad-claims')
  assert.equal(await ask(given(strict), await provider.sign({}, { typ: 'application/AT+JWT' })), 'idp:ann')
  assert.equal(await ask(given(), await provider.sign({}, { typ: undefined })), 'bad-claims')
  assert.equal(await ask(given({ untyped: true }), await provider.sign({}, { typ: undefined })), 'idp:ann')
})

test('forged key ids make the issuer be asked once in a cooldown, and known ones are served all the while', async () => {
  const authenticator = given({ cooldownMs: 30_000 })
  assert.equal(await ask(authenticator, await provider.sign()), 'idp:ann')
  const fetched = provider.fetches
  clock.now += 30_000
  for (let i = 0; i < 20; i++) assert.equal(await ask(authenticator, await provider.sign({}, { kid: `forged-${i}` })), 'bad-signature')
  assert.equal(provider.fetches, fetched + 1)
  assert.equal(await ask(authenticator, await provider.sign({ sub: 'bob' })), 'idp:bob')
  clock.now += 30_000
  await ask(authenticator, await provider.sign({}, { kid: 'forged' }))
  assert.equal(provider.fetches, fetched + 2)
})

test('keys are rotated: the new one counts at once, the old one no longer, nor what it signed before', async () => {
  const authenticator = given()
  const old = await provider.sign()
  const before = await authenticator.authenticate(from(old), clock.now)
  assert.ok(before.ok)
  await provider.rotate()
  assert.equal(await ask(authenticator, old), 'idp:ann', 'nobody has told us yet')
  clock.now += 30_000
  assert.equal(await ask(authenticator, await provider.sign({ sub: 'bob' })), 'idp:bob')
  assert.equal(await ask(authenticator, old), 'bad-signature')
  assert.equal(authenticator.isGood(before.identity, clock.now), false, 'and what it started ends')
})

test('a key that its issuer withdraws is found out within jwksMaxAgeMs, though its tokens are known', async () => {
  const authenticator = given({ jwksMaxAgeMs: 5 * minute })
  const old = await provider.sign()
  assert.equal(await ask(authenticator, old), 'idp:ann')
  await provider.rotate()
  const fetched = provider.fetches
  clock.now += 5 * minute
  assert.equal(await ask(authenticator, old), 'idp:ann', 'this one begins the fetch, and does not wait for it')
  while (provider.fetches === fetched || (await ask(authenticator, old)) === 'idp:ann') await new Promise(setImmediate)
  assert.equal(await ask(authenticator, old), 'bad-signature')
})

test('the issuer is away: its keys go on for staleMs, then its tokens are refused as nobody’s fault, until it is back', async () => {
  const authenticator = given({ jwksMaxAgeMs: 2 * minute, staleMs: 3 * minute })
  const known = await provider.sign()
  const answer = await authenticator.authenticate(from(known), clock.now)
  assert.ok(answer.ok)
  await provider.leave()
  clock.now += 5 * minute - 1
  assert.equal(await ask(authenticator, known), 'idp:ann')
  assert.equal(await ask(authenticator, await provider.sign({ sub: 'new' })), 'idp:new')
  clock.now += 1
  assert.equal(await ask(authenticator, known), 'provider-away')
  assert.equal(authenticator.isGood(answer.identity, clock.now), false)
  const refused = await authenticator.authenticate(from(await provider.sign({ sub: 'newer' })), clock.now)
  assert.ok(!refused.ok && refused.reason === 'provider-away' && (refused.retryMs ?? 0) > 0 && (refused.retryMs ?? 0) <= 5_000)
  await provider.back()
  clock.now += 5_000
  assert.equal(await ask(authenticator, await provider.sign({ sub: 'newer' })), 'idp:newer')
  assert.equal(await ask(authenticator, known), 'idp:ann')
})

test('an issuer that was never there: 503, and a try in five seconds', async () => {
  const authenticator = given({ issuer: 'http://127.0.0.1:9' })
  assert.equal(await ask(authenticator, await provider.sign({ iss: 'http://127.0.0.1:9' })), 'provider-away')
})

test('a discovery document of somebody else is not believed', async () => {
  const authenticator = given({ discovery: `${second.issuer}/.well-known/openid-configuration` })
  assert.equal(await ask(authenticator, await provider.sign()), 'provider-away')
})

const certificateOf = (fingerprint: string): ClientCertificate => ({
  ...{ fingerprint, serial: '1', commonName: null, alternativeNames: [] },
  validFrom: 0,
  validTo: Number.MAX_SAFE_INTEGER,
})

test('a token that is bound to a certificate is of no use without it, the first time and after', async () => {
  const authenticator = given()
  const fingerprint = 'ab'.repeat(32)
  const bound = await provider.sign({ cnf: { 'x5t#S256': Buffer.from(fingerprint, 'hex').toString('base64url') } })
  const bring = (certificate: ClientCertificate | null) => reasonOf(authenticator.authenticate(from(bound, certificate), clock.now))
  assert.equal(await bring(null), 'replayed')
  assert.equal(await bring(certificateOf('cd'.repeat(32))), 'replayed')
  assert.equal(await bring(certificateOf(fingerprint)), 'idp:ann')
  assert.equal(await bring(null), 'replayed', 'though it was verified before')
})

test('what is too long, or no JWT, is not even looked at', async () => {
  const authenticator = given()
  const fetched = provider.fetches
  const rows = [
    `${part({ alg: 'RS256' })}.${part({ iss: provider.issuer, pad: 'x'.repeat(8_192) })}.AAAA`,
    'a.b',
    'a.b.c',
    'a.b.c.d',
    '..',
    `${part([])}.${part({ iss: provider.issuer })}.AAAA`,
    `${part({ alg: 'RS256' })}.${part({ iss: 7 })}.AAAA`,
    '',
  ]
  for (const row of rows) assert.deepEqual(await authenticator.authenticate(from(row), clock.now), { ok: false, reason: 'malformed' })
  assert.equal(provider.fetches, fetched)
})

test('two issuers with the same subject are two principals, and neither signs for the other', async () => {
  const authenticator = given({ alias: 'one' }, { alias: 'two', issuer: second.issuer })
  assert.equal(await ask(authenticator, await provider.sign({ sub: 'ann' })), 'one:ann')
  assert.equal(await ask(authenticator, await second.sign({ sub: 'ann' })), 'two:ann')
  assert.equal(await ask(authenticator, await second.sign({ sub: 'ann', iss: provider.issuer })), 'bad-signature')
})

for (const [what, settings, claims, expected] of [
  [
    'of Entra',
    { rolesClaim: 'roles', organizationClaim: 'tid' },
    { roles: ['analyst'], tid: 't1' },
    { roles: ['analyst'], organization: 'idp:t1' },
  ],
  ['of Okta', { rolesClaim: 'groups' }, { groups: ['a b', 'c'] }, { roles: ['a b', 'c'] }],
  ['of Keycloak', { rolesClaim: 'realm_access.roles' }, { realm_access: { roles: ['x'] } }, { roles: ['x'] }],
  [
    'of Auth0',
    { rolesClaim: 'https://a.example/roles' },
    { 'https://a.example/roles': 'x', sub: 'auth0|7' },
    { principal: 'idp:auth0+7C7' },
  ],
  ['with a prefix', { rolesClaim: 'roles', rolePrefix: 'idp/' }, { roles: ['x'] }, { roles: ['idp/x'] }],
  ['by inheritance', { rolesClaim: 'constructor.name' }, {}, { roles: [] }],
  [
    'with a capability by role',
    { rolesClaim: 'roles', capabilities: { administration: ['role:ops'] } },
    { roles: ['ops'] },
    { capabilities: ['administration'] },
  ],
  [
    'of a client by any of its names, and since when its owner is known is not said',
    {},
    { cid: 'app' },
    { keyId: 'idp:app', createdAt: null },
  ],
  ['with none', { capabilities: { inference: ['scope:infer'] } }, { scope: 'inference infer2' }, { capabilities: [] }],
] as const)
  test(`a caller ${what}`, async () => {
    const answer = await given(settings as Partial<IssuerSettings>).authenticate(from(await provider.sign(claims)), clock.now)
    assert.ok(answer.ok)
    for (const [name, value] of Object.entries(expected))
      assert.deepEqual(Object.entries(answer.identity).find(([key]) => key === name)?.[1], value)
  })

for (const [what, settings, claims] of [
  ['roles that are no text', { rolesClaim: 'roles' }, { roles: [1] }],
  ['more roles than anybody has', { rolesClaim: 'roles' }, { roles: Array.from({ length: 257 }, String) }],
  ['no organization where one is asked for', { organizationClaim: 'tid' }, {}],
  ['not all scopes', { scopes: ['a', 'b'] }, { scope: 'a' }],
  ['a second factor in the future', {}, { amr: ['mfa'], auth_time: Math.floor(Date.now() / 1_000) + 3_600 }],
] as const)
  test(`a token with ${what} is refused`, async () => {
    assert.equal(await ask(given(settings as Partial<IssuerSettings>), await provider.sign(claims)), 'bad-claims')
  })

test('a second factor counts from when it was proved, and only where that is said', async () => {
  const provedAt = Math.floor(Date.now() / 1_000) - 300
  const rows = [
    [{ amr: ['pwd', 'mfa'], auth_time: provedAt }, provedAt * 1_000],
    [{ acr: 'phr', auth_time: provedAt }, provedAt * 1_000],
    [{ amr: ['pwd'], auth_time: provedAt }, null],
    [{ amr: ['mfa'] }, null],
  ] as const
  const authenticator = given({ secondFactor: { acr: ['phr'], amr: ['mfa'] } })
  for (const [claims, expected] of rows) {
    const answer = await authenticator.authenticate(from(await provider.sign(claims)), clock.now)
    assert.equal(answer.ok && answer.identity.secondFactorAt, expected)
  }
})

test('what is configured cannot weaken it: no HMAC, no plain http to elsewhere', () => {
  for (const wrong of [
    { algorithms: ['HS256'] },
    { algorithms: ['none'] },
    { algorithms: [] },
    { issuer: 'http://idp.example' },
    { alias: 'a:b' },
  ])
    assert.equal(
      IssuerSettings.safeParse({ alias: 'idp', issuer: provider.issuer, audience, ...wrong }).success,
      false,
      JSON.stringify(wrong),
    )
})
