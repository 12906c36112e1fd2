import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Authentication, Identity } from '../../access/identity.ts'
import type { AuditEntry } from '../../audit/port.ts'
import type { NodeOptions } from '../../inference/server/options.ts'
import { SharedMeter } from '../../limits/meter.ts'
import type { Payer, Reservation, Usage } from '../../limits/port.ts'
import { LimitRule } from '../../limits/rules.ts'
import type { PolicyDecision } from '../../policy/port.ts'
import type { Denial } from '../../schemas/index.ts'
import { type Fixture, inferBody, openFixture } from './node-fixture.ts'

const alice: Identity = {
  principal: 'alice',
  organization: 'acme',
  method: 'oidc',
  keyId: null,
  roles: ['analyst'],
  capabilities: ['inference'],
  createdAt: null,
  expiresAt: null,
  secondFactorAt: null,
}

const knows = (answer: Authentication | Promise<Authentication>): Partial<NodeOptions> => ({
  authenticator: { authenticate: () => answer, isGood: () => true },
})

const decides = (decision: Partial<PolicyDecision>, later: boolean): Partial<NodeOptions> => {
  const whole: PolicyDecision = { allowed: true, policies: ['p1'], version: 'v1', errors: [], tookMicros: 1, ...decision }
  return {
    permission: {
      engine: { version: 'v1', decide: () => (later ? Promise.resolve(whole) : whole) },
      requestOf: ({ principal, model, purpose, address }) => {
        asked.push({ principal, model, purpose, address })
        return {} as never
      },
    },
  }
}
let asked: object[] = []

async function within(options: Partial<NodeOptions>, story: (fixture: Fixture) => Promise<void>): Promise<void> {
  asked = []
  const fixture = await openFixture(options)
  try {
    await story(fixture)
  } finally {
    await fixture.close()
  }
}

const infer = ({ node }: Fixture, headers: Record<string, string> = {}, items = 1) =>
  node.app.inject({
    method: 'POST',
    url: '/v2/models/tiny/infer',
    headers: { authorization: 'Bearer x', ...headers },
    payload: inferBody(items),
  })

describe('who calls', () => {
  for (const later of [false, true]) {
    const answer = (known: Authentication) => knows(later ? Promise.resolve(known) : known)
    it(`is whoever the authenticator says, ${later ? 'after a while' : 'at once'}`, () =>
      within(answer({ ok: true, identity: alice }), async (fixture) => {
        assert.equal((await infer(fixture)).statusCode, 200)
        const [event] = await fixture.eventsOf('requests')
        assert.deepEqual([event?.principal, event?.organization, event?.outcome], ['alice', 'acme', 'served'])
      }))
    it(`reads the same refusal whatever is wrong, ${later ? 'after a while' : 'at once'}`, () =>
      within(answer({ ok: false, reason: 'wrong-issuer' }), async (fixture) => {
        const told = await infer(fixture)
        assert.equal(told.statusCode, 401)
        assert.doesNotMatch(told.body, /issuer/)
      }))
  }

  it('leaves an event of each request, also where no client or key has a name', () =>
    within({ ...knows({ ok: true, identity: alice }), limits: { anonymousEvents: 2 } }, async (fixture) => {
      for (let i = 0; i < 5; i++) assert.equal((await infer(fixture)).statusCode, 200)
      assert.equal((await fixture.eventsOf('requests')).length, 5)
    }))

  it('is told to wait after too many attempts, and when the provider is away', async () => {
    await within(knows({ ok: false, reason: 'too-many-failures', retryMs: 30_000 }), async (fixture) => {
      const told = await infer(fixture)
      assert.deepEqual([told.statusCode, told.headers['retry-after']], [429, '30'])
    })
    await within(knows({ ok: false, reason: 'provider-away', retryMs: 5_000 }), async (fixture) => {
      const told = await infer(fixture)
      assert.deepEqual([told.statusCode, told.headers['retry-after']], [503, '5'])
    })
  })

  it('needs a credential that is for inference', () =>
    within(knows({ ok: true, identity: { ...alice, capabilities: ['administration'] } }), async (fixture) => {
      assert.equal((await infer(fixture)).statusCode, 403)
      assert.equal(fixture.runtime.ran.length, 0)
      assert.equal((await fixture.eventsOf('requests'))[0]?.denial, 'capability')
    }))
})

describe('whether it may', () => {
  for (const later of [false, true]) {
    it(`is what the policies say, ${later ? 'after a while' : 'at once'}`, async () => {
      const known = knows({ ok: true, identity: alice })
      await within({ ...known, ...decides({}, later) }, async (fixture) => {
        assert.equal((await infer(fixture, { 'x-cordon-purpose': 'triage' })).statusCode, 200)
        assert.deepEqual(asked, [{ principal: 'alice', model: 'tiny', purpose: 'triage', address: '127.0.0.1' }])
      })
      await within({ ...known, ...decides({ allowed: false, policies: ['forbid-night'] }, later) }, async (fixture) => {
        const told = await infer(fixture)
        assert.equal(told.statusCode, 403)
        assert.doesNotMatch(told.body, /night/)
        assert.equal(fixture.runtime.ran.length, 0)
        const [event] = await fixture.eventsOf('requests')
        assert.deepEqual([event?.outcome, event?.denial], ['denied', 'policy'])
      })
    })
  }
})

describe('how much', () => {
  const failures: string[] = []
  const metering = (settled: Usage[], most: Usage[]): Partial<NodeOptions> => ({
    metering: {
      meter: {
        reserve: (_payer, usage): Reservation => {
          most.push(usage)
          if (most.length > 2)
            return { ok: false, retryMs: 9_000, never: false, message: 'no', headers: { 'retry-after': '9' }, policies: ['day'] }
          return { ok: true, headers: { ratelimit: '"day";r=1;t=5' }, settle: (used) => settled.push(used) }
        },
      },
      mostOf: ({ items }) => ({ requests: items, tokens: 0, cost: items * 0.5 }),
      riskOf: () => 0,
      isNewPlace: () => false,
      failed: (principal) => void failures.push(principal),
    },
  })

  it('is set aside before the model runs, and settled once with what it took', async () => {
    const [settled, most]: [Usage[], Usage[]] = [[], []]
    await within({ ...knows({ ok: true, identity: alice }), ...metering(settled, most) }, async (fixture) => {
      const served = await infer(fixture, {}, 3)
      assert.deepEqual([served.statusCode, served.headers['ratelimit']], [200, '"day";r=1;t=5'])
      fixture.runtime.failure = new Error('broken')
      assert.equal((await infer(fixture)).statusCode, 500)
      const refused = await infer(fixture)
      assert.deepEqual([refused.statusCode, refused.headers['retry-after']], [429, '9'])
      assert.deepEqual(settled, [
        { requests: 3, tokens: 0, cost: 1.5 },
        { requests: 0, tokens: 0, cost: 0 },
      ])
      const outcomes = (await fixture.eventsOf('requests')).map(({ outcome }) => outcome)
      assert.deepEqual(outcomes, ['served', 'failed', 'throttled'])
      assert.deepEqual(failures, [])
      await fixture.node.app.inject({
        method: 'POST',
        url: '/v2/models/none/infer',
        headers: { authorization: 'Bearer x' },
        payload: inferBody(),
      })
      assert.deepEqual(failures, ['alice'])
    })
  })
})

describe('how much each key may take', () => {
  const callers = { web: 'idp:web', batch: 'idp:batch' }
  const rules = [LimitRule.parse({ name: 'calls', over: 'key', amount: 2, windowMs: 1_000 })]

  /** What each call was answered: `calls` are a caller and the client by which they come. */
  async function answers(method: Identity['method'], calls: readonly [principal: string, client: keyof typeof callers][]) {
    const statuses: number[] = []
    let next = alice
    const meter = new SharedMeter({ rules, instance: 'a~1', nodes: 1, whenAway: 'refuse' })
    const metering = {
      // All within one window.
      meter: { reserve: (payer: Payer, most: Usage) => meter.reserve(payer, most, 0) },
      ...{ mostOf: () => ({ requests: 1, tokens: 0, cost: 0 }), riskOf: () => 0, isNewPlace: () => false, failed: () => {} },
    }
    const authenticator = { authenticate: () => ({ ok: true, identity: next }) as const, isGood: () => true }
    await within({ authenticator, metering }, async (fixture) => {
      for (const [principal, client] of calls) {
        next = { ...alice, principal, method, keyId: callers[client] }
        statuses.push((await infer(fixture)).statusCode)
      }
    })
    return statuses
  }

  it('is each caller’s own by a client of an identity provider, and another by another client', async () => {
    const calls = ['alice', 'alice', 'alice', 'bob'].map((name): [string, 'web'] => [`idp:${name}`, 'web'])
    assert.deepEqual(await answers('oidc', [...calls, ['idp:alice', 'batch']]), [200, 200, 429, 200, 200])
  })

  it('is shared by all that call with one key of ours', async () => {
    const calls: [string, 'web'][] = ['alice', 'bob', 'carol'].map((name) => [name, 'web'])
    assert.deepEqual(await answers('key', calls), [200, 200, 429])
  })
})

describe('what happened', () => {
  it('is chained with who decided and what the input was', async () => {
    const entries: AuditEntry[] = []
    const audit = { append: (entry: AuditEntry) => void entries.push(entry) }
    await within({ ...knows({ ok: true, identity: alice }), ...decides({}, false), audit }, async (fixture) => {
      await infer(fixture)
      assert.equal(entries.length, 1)
      const [entry] = entries
      assert.deepEqual(
        [entry?.principal, entry?.method, entry?.resource, entry?.version, entry?.cost, entry?.policy, entry?.policies, entry?.prompt],
        ['alice', 'oidc', 'tiny', '2', 0.5, 'v1', ['p1'], null],
      )
      const [fingerprint] = await fixture.eventsOf('fingerprints')
      assert.equal(entry?.input, fingerprint?.exact)
    })
  })

  const mallory: Identity = { ...alice, principal: 'mallory' }
  const rows: readonly { readonly denial: Denial | null; readonly identity?: Identity; readonly decision?: Partial<PolicyDecision> }[] = [
    { denial: null },
    { denial: 'capability', identity: { ...alice, capabilities: [] } },
    { denial: 'lease', identity: mallory },
    { denial: 'policy', decision: { allowed: false } },
    { denial: 'undecided', decision: { allowed: false, errors: ['policy engine away'] } },
  ]
  for (const { denial, identity = alice, decision = {} } of rows) {
    it(`is chained with why it was denied: ${denial}`, async () => {
      const entries: AuditEntry[] = []
      const audit = { append: (entry: AuditEntry) => void entries.push(entry) }
      await within({ ...knows({ ok: true, identity }), ...decides(decision, false), audit }, async (fixture) => {
        await fixture.contain('principal:mallory', 'deny-principal')
        assert.equal((await infer(fixture)).statusCode, denial === null ? 200 : 403)
        assert.deepEqual(
          entries.map((entry) => [entry.outcome, entry.denial]),
          [[denial === null ? 'served' : 'denied', denial]],
        )
        assert.equal((await fixture.eventsOf('requests'))[0]?.denial, denial)
      })
    })
  }
})
