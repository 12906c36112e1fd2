import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { TOTP } from 'otpauth'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { Administrators } from '../../access/administrators.ts'
import type { Identity } from '../../access/identity.ts'
import { SecondFactors } from '../../access/second-factor.ts'
import { writeAtomically } from '../../cli/instance/atomic-file.ts'
import { administrationOf } from '../../cli/instance/policy.ts'
import { createConsole } from '../../console/server.ts'
import { configurations, ModelConfiguration } from '../../inference/configuration.ts'
import { CedarEngine } from '../../policy/cedar.ts'
import { policyRequests } from '../../policy/context.ts'
import { counted } from '../../policy/counted.ts'
import { defaultFolder, readPolicies } from '../../policy/directory.ts'
import { OpaEngine } from '../../policy/opa.ts'
import { policySetOf } from '../../policy/policy-set.ts'
import type { PolicyEngine, PolicyRequest } from '../../policy/port.ts'
import { risksOf } from '../../policy/risks.ts'
import { fakePorts, at as start } from './ports.ts'

const machine = 'operator-token-of-this-machine-that-is-long'
const lease = 'principal:mallory/throttle-principal'
const forMs = 60_000
/** What waits for a person. */
const waiting = 'c'.repeat(32)

/** Mallory's risk is what it is asked to be, and fades over hours. */
const riskOf = (score: number) => ({ principal: 'mallory', score, kind: 'x', at: start, until: start + 86_400_000, halfLifeMs: 21_600_000 })

interface Options {
  readonly risk?: number
  readonly identity?: Partial<Identity>
  /** How long a second factor counts for the policies; for the door five minutes. */
  readonly secondFactorMs?: number
}

/** A console that asks an engine, with accounts, and what the engine was asked. */
async function open(t: TestContext, engine: PolicyEngine, { risk = 0, identity = {}, secondFactorMs = 900_000 }: Options = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'cordon-permission-'))
  const file = join(dir, 'accounts.json')
  const administrators = new Administrators({ file, write: writeAtomically })
  // Each code counts for its own request alone.
  const secondFactors = new SecondFactors({ file: `${file}.used`, write: writeAtomically, windowMs: 0 })
  const asked: PolicyRequest[] = []
  const noted: PolicyEngine = {
    version: engine.version,
    decide: (request) => {
      asked.push(request)
      return engine.decide(request)
    },
  }
  const risks = risksOf(new Map([['mallory', riskOf(risk)]]))
  const registry = new Registry()
  const policy = { engine: counted(noted, registry), risks, requestOf: policyRequests({ countryOf: () => 'DE', risks, secondFactorMs }) }
  const digits = ModelConfiguration.parse({ labels: { sensitivity: 'restricted', owner: 'acme' } })
  const ports = fakePorts()
  ports.actions.waiting = () => [{ id: waiting, target: 'principal:mallory', responder: 'rotate-key' }] as never
  ports.actions.approve = async (id, by) => {
    ports.calls.push(['approve', id, by])
    return { id } as never
  }
  const uma: Identity = {
    ...{ principal: 'idp:uma', organization: null, method: 'oidc', keyId: null, roles: [], capabilities: ['administration', 'promotion'] },
    ...{ createdAt: null, expiresAt: null, secondFactorAt: start },
    ...identity,
  }
  const access = {
    accounts: { administrators, secondFactors },
    authenticator: { authenticate: () => ({ ok: true, identity: uma }) as const, isGood: () => true },
    permission: administrationOf(policy, configurations({ digits })),
    clock: () => start,
  }
  const app = await createConsole({ ports, token: machine, access, registry: new Registry(), log: pino({ level: 'silent' }) })
  t.after(async () => {
    await app.close()
    rmSync(dir, { recursive: true })
  })
  return {
    ...{ ports, asked },
    /** By policy, how often it denied something. */
    denials: async () => {
      const metric = await registry.getSingleMetric('cordon_policy_denials_total')?.get()
      return Object.fromEntries(metric?.values.map(({ labels, value }) => [labels['policy'], value]) ?? [])
    },
    account: (name: string, ...roles: string[]) => {
      const made = administrators.create({ name, capabilities: ['administration', 'promotion'], roles, expiresAt: null }, start)
      const { secret } = administrators.enrol(name)
      const code = (timestamp: number) => new TOTP({ secret, algorithm: 'SHA1', digits: 6, period: 30 }).generate({ timestamp })
      administrators.confirm(name, code(start - 30_000), start)
      return { token: made.token, otp: code(start) }
    },
    post: async (url: string, payload: object, { token = 'eyJhbGciOiJFZERTQSJ9.e30.c2ln', otp = '', from = '10.1.2.3' } = {}) => {
      const headers = { authorization: `Bearer ${token}`, ...(otp === '' ? {} : { 'x-cordon-otp': otp }) }
      const answer = await app.inject({ method: 'POST', url, payload, headers, remoteAddress: from })
      return { status: answer.statusCode, body: answer.json<Record<string, string>>() }
    },
  }
}

const cedar = (...folder: string[]) => new CedarEngine(policySetOf(readPolicies(join(defaultFolder, ...folder))))
const everything = (allowed: boolean): PolicyEngine => ({
  version: 'v',
  decide: () => ({ allowed, policies: ['p'], version: 'v', errors: [], tookMicros: 1 }),
})

const contain = { target: 'principal:mallory', action: 'deny-principal', forMs, reason: 'r' }
const rollback = { ...contain, target: 'model:digits', action: 'rollback-model', parameters: { version: '3' } }
/** Each order, and what policies are asked for it: action, resource and whose risk. */
const orders: readonly [path: string, body: object, asks: readonly [string, string, string | null][]][] = [
  ['/api/containments', contain, [['contain', 'principal:mallory', 'mallory']]],
  ['/api/containments', { ...contain, target: 'key:abcdefghijkl', action: 'x' }, [['contain', 'key:abcdefghijkl', 'alice']]],
  ['/api/containments', { ...contain, target: 'pool:a', action: 'quarantine-pool' }, [['contain', 'pool:a', null]]],
  // Other words for a rotation, a release and a promotion.
  [
    '/api/containments',
    { ...contain, action: 'rotate-key' },
    [
      ['contain', 'principal:mallory', 'mallory'],
      ['rotate-key', 'mallory', 'mallory'],
    ],
  ],
  [
    '/api/containments',
    { ...contain, action: 'throttle-principal' },
    [
      ['contain', 'principal:mallory', 'mallory'],
      ['release', lease, 'mallory'],
    ],
  ],
  [
    '/api/containments',
    rollback,
    [
      ['contain', 'model:digits', null],
      ['promote', 'digits', null],
    ],
  ],
  [
    '/api/actions/approve',
    { id: waiting },
    [
      ['contain', 'principal:mallory', 'mallory'],
      ['rotate-key', 'mallory', 'mallory'],
    ],
  ],
  ['/api/containments/release', { id: lease }, [['release', lease, 'mallory']]],
  ['/api/models/promote', { model: 'digits', version: '3' }, [['promote', 'digits', null]]],
  ['/api/keys', { principal: 'mallory' }, [['create-key', 'mallory', 'mallory']]],
  ['/api/keys/revoke', { keyId: 'abcdefghijkl' }, [['revoke-key', 'abcdefghijkl', 'alice']]],
  ['/api/keys/rotate', { what: 'abcdefghijkl', overlapMs: 1 }, [['rotate-key', 'abcdefghijkl', 'alice']]],
  ['/api/keys/claim', { what: 'mallory' }, [['create-key', 'mallory', 'mallory']]],
]

describe('before anything is done', () => {
  for (const [path, body, asks] of orders)
    it(`POST ${path} ${JSON.stringify(body)} asks policies for ${asks.map(([action]) => action).join(' and ')}`, async (t) => {
      const { ports, asked, post } = await open(t, everything(true), { risk: 0.8 })
      const { status } = await post(path, body)
      assert.ok(status < 300 || path.endsWith('claim'), String(status))
      assert.equal(ports.calls.length, 1)
      assert.deepEqual(
        asked.map(({ action, resource, context }) => [action, resource, context.targetRisk]),
        asks.map(([action, resource, about]) => [action, resource, about === null ? null : about === 'mallory' ? 0.8 : 0]),
      )
      for (const { principal, method, context } of asked) {
        const { now, address, secondFactor } = context
        assert.deepEqual([principal, method, now, address, secondFactor], ['idp:uma', 'oidc', start, '10.1.2.3', true])
      }
      const denying = await open(t, everything(false))
      const refused = await denying.post(path, body)
      assert.deepEqual([refused.status, refused.body['code'], denying.ports.calls], [403, 'FORBIDDEN', []])
      assert.match(refused.body['detail'] ?? '', /policies do not let you .*: by p$/)
    })

  it('a promotion is of a model with the labels that are configured', async (t) => {
    const { asked, post } = await open(t, everything(true))
    await post('/api/models/promote', { model: 'digits', version: '3' })
    assert.deepEqual([asked[0]?.context.sensitivity, asked[0]?.context.owner], ['restricted', 'acme'])
  })
})

describe('the default policies', () => {
  it('let do all that a capability is for, whatever the risk of whom', async (t) => {
    for (const [path, body] of orders) {
      const { ports, account, post } = await open(t, cedar(), { risk: 1 })
      const { status } = await post(path, body, account('olga'))
      assert.ok(status < 300 || path.endsWith('claim'), `${path} ${status}`)
      assert.equal(ports.calls.length, 1)
    }
  })

  it('let the token of the machine do what it did', async (t) => {
    const { ports, post } = await open(t, cedar(), { risk: 1 })
    for (const [path, body] of orders.filter(([, , asks]) => asks.every(([action]) => action !== 'promote')))
      assert.ok((await post(path, body, { token: machine })).status < 300 || path.endsWith('claim'), path)
    assert.equal(ports.calls.length, orders.length - 2)
  })

  it('let nobody administer who is found attacking, and do not take an account for a caller of its name', async (t) => {
    const { account, post } = await open(t, cedar(), { risk: 0.9, identity: { principal: 'mallory' } })
    const refused = await post('/api/containments', contain)
    assert.deepEqual([refused.status, refused.body['code']], [403, 'FORBIDDEN'])
    assert.match(refused.body['detail'] ?? '', /by no-administration-at-high-risk$/)
    assert.equal((await post('/api/containments', contain, account('mallory'))).status, 201)
  })
})

describe('the strict policies', () => {
  it('want a second factor where the door does not, and take the code that comes with the request', async (t) => {
    const { ports, account, post } = await open(t, cedar('strict'))
    const { token, otp } = account('olga', 'administrator')
    const asked = await post('/api/containments', contain, { token })
    assert.deepEqual([asked.status, asked.body['code'], asked.body['header']], [403, 'SECOND_FACTOR', 'X-Cordon-OTP'])
    assert.equal((await post('/api/containments', contain, { token, otp: '000000' })).body['code'], 'SECOND_FACTOR')
    assert.deepEqual(ports.calls, [])
    assert.equal((await post('/api/containments', contain, { token, otp })).status, 201)
  })

  it('do not let an analyst release whoever still looks like an attacker', async (t) => {
    for (const [risk, role, status] of [
      [0.69, 'analyst', 200],
      [0.7, 'analyst', 403],
      [0.7, 'administrator', 200],
    ] as const) {
      const { account, post } = await open(t, cedar('strict'), { risk })
      assert.equal((await post('/api/containments/release', { id: lease }, account('olga', role))).status, status, `${role} ${risk}`)
    }
  })

  it('let nobody do anything from outside, or with the token of the machine', async (t) => {
    const { ports, asked, account, post } = await open(t, cedar('strict'))
    const outside = await post('/api/containments', contain, { ...account('olga', 'analyst'), from: '192.0.2.1' })
    assert.deepEqual([outside.status, outside.body['code']], [403, 'FORBIDDEN'])
    asked.length = 0
    const { status, body } = await post('/api/keys', { principal: 'alice' }, { token: machine })
    assert.deepEqual([status, body['code'], ports.calls, asked.length], [403, 'FORBIDDEN', [], 1])
  })
})

describe('what policies deny is counted once', () => {
  it('whether a second factor is missing, wrong, or would change nothing', async (t) => {
    const { account, denials, post } = await open(t, cedar('strict'))
    const { token, otp } = account('olga', 'administrator')
    assert.equal((await post('/api/containments', contain, { token })).status, 403)
    assert.deepEqual(await denials(), { none: 1 })
    assert.equal((await post('/api/containments', contain, { token, otp: '000000' })).status, 403)
    assert.deepEqual(await denials(), { none: 2 })
    // With the code it is done: what policies would have said without it was no denial.
    assert.equal((await post('/api/containments', contain, { token, otp })).status, 201)
    assert.deepEqual(await denials(), { none: 2 })
    const outside = await post('/api/containments', contain, { ...account('uwe', 'administrator'), from: '192.0.2.1' })
    assert.equal(outside.body['code'], 'FORBIDDEN')
    assert.deepEqual(await denials(), { none: 2, 'the-office-administers': 1 })
    assert.equal((await post('/api/containments', contain, { token: machine })).status, 403)
    assert.deepEqual(await denials(), { none: 3, 'the-office-administers': 1 })
  })

  it('of several things that are asked together the one that is denied', async (t) => {
    const { denials, post } = await open(t, everything(false))
    await post('/api/containments', { ...contain, action: 'rotate-key' })
    assert.deepEqual(await denials(), { p: 1 })
  })
})

describe('policies that cannot be asked', () => {
  it('let nothing be done, and say so', async (t) => {
    const agent = new OpaEngine({ url: 'http://127.0.0.1:1', path: 'p', token: null, deadlineMs: 5_000, clock: () => start })
    t.after(() => agent.close())
    const { ports, account, denials, post } = await open(t, agent)
    const olga = account('olga', 'administrator')
    for (const credentials of [olga, { token: machine }, {}]) {
      const { status, body } = await post('/api/containments', contain, credentials)
      assert.deepEqual([status, body['code']], [503, 'UNDECIDED'])
      assert.match(body['detail'] ?? '', /policy engine away/)
    }
    assert.deepEqual([ports.calls, await denials()], [[], { error: 3 }])
  })
})

describe('policies', () => {
  it('that want a fresher proof than the door are not content with one that the door takes', async (t) => {
    const proved: PolicyEngine = {
      version: 'v',
      decide: ({ context }) => ({ allowed: context.secondFactor, policies: [], version: 'v', errors: [], tookMicros: 1 }),
    }
    for (const [minutes, code] of [
      [1, undefined],
      [4, 'FORBIDDEN'],
      [5, 'SECOND_FACTOR'],
    ] as const) {
      const options = { identity: { secondFactorAt: start - minutes * 60_000 }, secondFactorMs: 60_000 }
      const { post } = await open(t, proved, options)
      assert.equal((await post('/api/containments', contain)).body['code'], code, `${minutes} minutes ago`)
    }
  })
})
