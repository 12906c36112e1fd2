import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { TOTP } from 'otpauth'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { Administrators, type NewAccount } from '../../access/administrators.ts'
import type { Authentication, Authenticator, Identity } from '../../access/identity.ts'
import { SecondFactors } from '../../access/second-factor.ts'
import { writeAtomically } from '../../cli/instance/atomic-file.ts'
import type { DoorOptions } from '../../console/door.ts'
import { createConsole } from '../../console/server.ts'
import { type FakePorts, fakePorts, at as start } from './ports.ts'

const token = 'operator-token-of-this-machine-that-is-long'
const minute = 60_000
const lease = 'principal:mallory/throttle-principal'

interface Asked {
  readonly as: string
  readonly otp?: string
}

interface World {
  readonly ports: FakePorts
  readonly administrators: Administrators
  readonly clock: { now: number }
  /** A new account, and what its authenticator shows. */
  account(name: string, ...capabilities: NewAccount['capabilities']): { token: string; code: () => string; secret: string }
  post(path: string, body: object, asked: Asked): Promise<{ status: number; body: Record<string, unknown>; headers: Headers }>
  get(path: string, as: string): Promise<number>
  readonly url: string
}

/** A console that listens, with accounts in a file. */
async function open(
  t: TestContext,
  { windowMs = 5 * minute, ...options }: Partial<DoorOptions> & { windowMs?: number } = {},
): Promise<World> {
  const dir = mkdtempSync(join(tmpdir(), 'cordon-door-'))
  const clock = { now: start }
  const file = join(dir, 'accounts.json')
  const administrators = new Administrators({ file, write: writeAtomically })
  const secondFactors = new SecondFactors({ file: `${file}.used`, write: writeAtomically, windowMs })
  const ports = fakePorts()
  const access = { accounts: { administrators, secondFactors }, clock: () => clock.now, ...options }
  const app = await createConsole({ ports, token, access, registry: new Registry(), log: pino({ level: 'silent' }) })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  t.after(async () => {
    await app.close()
    rmSync(dir, { recursive: true })
  })
  return {
    ...{ ports, administrators, clock, url },
    account: (name, ...capabilities) => {
      const made = administrators.create({ name, capabilities, roles: [], expiresAt: null }, clock.now)
      const { secret } = administrators.enrol(name)
      const code = (at = clock.now) => new TOTP({ secret, algorithm: 'SHA1', digits: 6, period: 30 }).generate({ timestamp: at })
      administrators.confirm(name, code(clock.now - 30_000), clock.now)
      return { token: made.token, code, secret }
    },
    post: async (path, body, { as, otp }) => {
      const headers = {
        authorization: `Bearer ${as}`,
        'content-type': 'application/json',
        ...(otp === undefined ? {} : { 'x-cordon-otp': otp }),
      }
      const answer = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) })
      return { status: answer.status, body: (await answer.json()) as Record<string, unknown>, headers: answer.headers }
    },
    get: async (path, as) => {
      const answer = await fetch(url + path, { headers: { authorization: `Bearer ${as}` } })
      await answer.arrayBuffer()
      return answer.status
    },
  }
}

const contain = { target: 'principal:x', action: 'throttle-principal', forMs: minute, reason: 'r' }
const rollback = (version: string | null) => ({ ...contain, target: 'model:digits', action: 'rollback-model', parameters: { version } })

type Needs = 'nothing' | 'second factor'
/** What each order needs of an account with both capabilities, and whom the record names. */
const orders: readonly [path: string, body: object, needs: Needs][] = [
  ['/api/containments/release', { id: lease }, 'second factor'],
  ['/api/keys/rotate', { what: 'alice', overlapMs: 1 }, 'second factor'],
  ['/api/keys/rotate', { what: 'abcdefghijkl', overlapMs: 1 }, 'second factor'],
  ['/api/keys/claim', { what: 'alice' }, 'second factor'],
  ['/api/keys', { principal: 'alice' }, 'second factor'],
  ['/api/models/promote', { model: 'digits', version: '3' }, 'second factor'],
  // Other words for a release, a rotation and a promotion.
  ['/api/containments', { ...contain, target: 'principal:mallory', forMs: 1_000 }, 'second factor'],
  ['/api/containments', { ...contain, action: 'rotate-key' }, 'second factor'],
  ['/api/containments', rollback('3'), 'second factor'],
  ['/api/containments', rollback('9'), 'second factor'],
  // Containing must be quick, and is undone by whoever may.
  ['/api/containments', contain, 'nothing'],
  ['/api/containments', rollback('1'), 'nothing'],
  ['/api/containments', rollback(null), 'nothing'],
  ['/api/keys/revoke', { keyId: 'abcdefghijkl' }, 'nothing'],
]

describe('an order of an account', () => {
  for (const [path, body, needs] of orders) {
    it(`POST ${path} ${JSON.stringify(body)} needs ${needs}`, async (t) => {
      const { ports, post, account } = await open(t)
      const olga = account('olga', 'administration', 'promotion')
      const first = await post(path, body, { as: olga.token })
      if (needs === 'nothing') {
        assert.ok(first.status < 300, JSON.stringify(first.body))
        return
      }
      assert.deepEqual([first.status, first.body['code'], first.body['header']], [403, 'SECOND_FACTOR', 'X-Cordon-OTP'])
      const wrong = await post(path, body, { as: olga.token, otp: '000000' })
      assert.deepEqual([wrong.status, wrong.body['code']], [403, 'SECOND_FACTOR'])
      assert.deepEqual(ports.calls, [], 'nothing was ordered')
      const { status } = await post(path, { ...body, by: 'somebody-else' }, { as: olga.token, otp: olga.code() })
      assert.ok(status < 300 || (status === 404 && path.endsWith('claim')), String(status))
      const [call] = ports.calls
      assert.ok(JSON.stringify(call).includes('olga') && !JSON.stringify(call).includes('somebody-else'), 'it is the account that did it')
    })
  }

  it('needs the capability for it, second factor or not', async (t) => {
    const { ports, post, get, account } = await open(t)
    const admin = account('ann', 'administration')
    const promoter = account('pat', 'promotion')
    const none = account('nick')
    const refusals: [path: string, body: object, as: typeof admin][] = [
      ['/api/models/promote', { model: 'digits', version: '3' }, admin],
      ['/api/containments', rollback('3'), admin],
      ['/api/keys', { principal: 'x', capabilities: ['promotion'] }, admin],
      ['/api/containments/release', { id: lease }, promoter],
      ['/api/keys/rotate', { what: 'alice', overlapMs: 1 }, promoter],
      ['/api/containments', contain, promoter],
      ['/api/query', { sql: 'SELECT 1' }, promoter],
      ['/api/containments', contain, none],
    ]
    for (const [path, body, { token: as, code }] of refusals) {
      const { status, body: problem } = await post(path, body, { as, otp: code() })
      // Where it is refused for the order's content, the second factor is asked for first.
      assert.deepEqual([status, problem['code']], [403, 'FORBIDDEN'], `${path} ${JSON.stringify(body)}`)
    }
    assert.deepEqual(ports.calls, [])
    assert.equal(await get('/api/models', promoter.token), 200)
    assert.equal(await get('/api/models', none.token), 403)
    assert.equal(await get('/api/keys', promoter.token), 403)
    assert.equal(await get('/api/keys', admin.token), 200)
  })

  it('opens the door for five minutes by one code, which counts once', async (t) => {
    const { clock, post, account } = await open(t)
    const { token: as, code } = account('olga', 'administration')
    const rotate = (otp?: string) =>
      post('/api/keys/rotate', { what: 'alice', overlapMs: 1 }, { as, ...(otp === undefined ? {} : { otp }) })
    const used = code()
    assert.equal((await rotate(used)).status, 200)
    clock.now += 5 * minute - 1
    assert.equal((await rotate()).status, 200)
    clock.now += 1
    assert.equal((await rotate()).status, 403)
    assert.equal((await rotate(used)).status, 403)
    assert.equal((await rotate(code())).status, 200)
  })

  it('that repeats a code within its half minute is refused, where the door shuts at once', async (t) => {
    const { post, account } = await open(t, { windowMs: 0 })
    const { token: as, code } = account('olga', 'administration')
    const otp = code()
    const rotate = () => post('/api/keys/rotate', { what: 'alice', overlapMs: 1 }, { as, otp })
    assert.equal((await rotate()).status, 200)
    assert.equal((await rotate()).body['code'], 'SECOND_FACTOR')
  })

  it('is not let try codes for ever', async (t) => {
    const { clock, post, account } = await open(t)
    const { token: as, code } = account('olga', 'administration')
    const release = (otp: string) => post('/api/containments/release', { id: lease }, { as, otp })
    for (let i = 0; i < 5; i++) assert.equal((await release('000000')).status, 403)
    const paused = await release(code())
    assert.deepEqual([paused.status, paused.body['code'], paused.headers.get('retry-after')], [429, 'SECOND_FACTOR_PAUSED', '300'])
    clock.now += 5 * minute
    assert.equal((await release(code())).status, 200)
  })

  it('of one without an authenticator says how to get one', async (t) => {
    const { administrators, post, clock } = await open(t)
    const { token: as } = administrators.create({ name: 'new', capabilities: ['administration'], roles: [], expiresAt: null }, clock.now)
    const { status, body } = await post('/api/containments/release', { id: lease }, { as, otp: '123456' })
    assert.equal(status, 403)
    assert.match(String(body['detail']), /accounts enrol/)
    assert.equal(body['header'], undefined, 'no code would do')
  })

  it('is refused from the moment the account is revoked, and its stream ends', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] })
    const { administrators, get, account, url, clock } = await open(t)
    const { token: as } = account('olga', 'administration')
    const stream = await fetch(`${url}/api/stream`, { headers: { authorization: `Bearer ${as}` } })
    const reader = stream.body?.getReader()
    await reader?.read()
    administrators.revoke('olga', clock.now)
    assert.equal(await get('/api/keys', as), 401)
    t.mock.timers.tick(15_000)
    await assert.rejects(async () => {
      while (!(await reader?.read())?.done);
      throw new Error('ended')
    })
  })
})

describe("the machine's token", () => {
  it('is not asked for a second factor, since its holder can read the data directory', async (t) => {
    const { ports, post } = await open(t)
    for (const [path, body] of orders.filter(([path]) => !path.includes('models') && path !== '/api/containments')) {
      const { status } = await post(path, { ...body, by: 'root' }, { as: token })
      assert.ok(status < 300 || status === 404, `${path} ${status}`)
    }
    assert.ok(ports.calls.length > 0 && ports.calls.every((call) => JSON.stringify(call).includes('root')))
  })

  it('does nothing privileged where a second factor is required of everybody', async (t) => {
    const { ports, post } = await open(t, { secondFactor: 'required' })
    for (const [path, body, needs] of orders) {
      const { status, body: problem } = await post(path, body, { as: token, otp: '123456' })
      if (needs === 'nothing') assert.ok(status < 300)
      else assert.deepEqual([status, ['SECOND_FACTOR', 'FORBIDDEN'].includes(String(problem['code']))], [403, true], path)
    }
    assert.ok(ports.calls.every(([call]) => call === 'contain' || call === 'revoke'))
  })

  it('does nothing in the name of an account', async (t) => {
    const { ports, post, account } = await open(t)
    account('olga', 'administration')
    await post('/api/containments/release', { id: lease, by: 'olga' }, { as: token })
    assert.deepEqual(ports.calls, [['release', lease, 'token:olga']])
  })

  it('promotes nothing', async (t) => {
    const { post } = await open(t)
    for (const [path, body] of [
      ['/api/models/promote', { model: 'digits', version: '3' }],
      ['/api/containments', rollback('3')],
      ['/api/keys', { principal: 'x', capabilities: ['promotion'] }],
    ] as const)
      assert.equal((await post(path, body, { as: token })).body['code'], 'FORBIDDEN', path)
  })
})

describe('a user of an identity provider', () => {
  const identity: Identity = {
    ...{ principal: 'uma', organization: null, method: 'oidc', keyId: null, roles: [], capabilities: ['administration'] },
    ...{ createdAt: null, expiresAt: null, secondFactorAt: null },
  }
  const by = (answer: Authentication): Authenticator => ({ authenticate: () => answer, isGood: () => true })
  const as = 'eyJhbGciOiJFZERTQSJ9.e30.c2ln'

  const rows: readonly [secondFactorAt: number | null, status: number][] = [
    [null, 403],
    [start, 200],
    [start - 5 * minute + 1, 200],
    [start - 5 * minute, 403],
    // The provider's clock may be a little ahead, but no token is from tomorrow.
    [start + minute, 200],
    [start + minute + 1, 403],
  ]
  for (const [secondFactorAt, expected] of rows) {
    const when = secondFactorAt === null ? 'never' : `${(start - secondFactorAt) / 1_000} s ago`
    it(`who proved a second factor ${when} is answered ${expected}`, async (t) => {
      const { ports, post } = await open(t, { authenticator: by({ ok: true, identity: { ...identity, secondFactorAt } }) })
      const { status } = await post('/api/containments/release', { id: lease, by: 'x' }, { as, otp: '123456' })
      assert.equal(status, expected)
      assert.deepEqual(ports.calls, expected === 200 ? [['release', lease, 'uma']] : [])
    })
  }

  it('needs none for a key of its own', async (t) => {
    const alice = { ...identity, principal: 'alice' }
    const { post } = await open(t, { authenticator: by({ ok: true, identity: alice }) })
    for (const what of ['alice', 'abcdefghijkl']) assert.equal((await post('/api/keys/rotate', { what, overlapMs: 1 }, { as })).status, 200)
    assert.equal((await post('/api/keys', { principal: 'alice' }, { as })).status, 201)
    assert.equal((await post('/api/keys', { principal: 'bob' }, { as })).status, 403)
  })

  const failures: readonly [answer: Authentication, status: number, code: string][] = [
    [{ ok: false, reason: 'bad-signature' }, 401, 'UNAUTHENTICATED'],
    [{ ok: false, reason: 'expired' }, 401, 'UNAUTHENTICATED'],
    [{ ok: false, reason: 'provider-away', retryMs: 2_000 }, 503, 'PROVIDER_AWAY'],
    [{ ok: false, reason: 'too-many-failures', retryMs: 2_000 }, 429, 'TOO_MANY_ATTEMPTS'],
    [{ ok: true, identity: { ...identity, method: 'key', capabilities: ['inference'] } }, 403, 'FORBIDDEN'],
  ]
  for (const [answer, expected, code] of failures) {
    it(`is answered ${expected} where the authenticator says ${answer.ok ? 'inference alone' : answer.reason}`, async (t) => {
      const { post } = await open(t, { authenticator: by(answer) })
      const { status, body, headers } = await post('/api/keys/revoke', { keyId: 'x' }, { as })
      assert.deepEqual([status, body['code']], [expected, code])
      if (expected === 503 || expected === 429) assert.equal(headers.get('retry-after'), '2')
    })
  }
})
