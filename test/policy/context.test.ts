import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Registry } from 'prom-client'
import { type Caller, policyRequests } from '../../policy/context.ts'
import { counted } from '../../policy/counted.ts'
import type { PolicyDecision } from '../../policy/port.ts'
import { risksOf } from '../../policy/risks.ts'
import { ask, noon } from './given.ts'

const hour = 60 * 60 * 1_000
const alice: Caller = { principal: 'alice', organization: 'acme', method: 'key', roles: ['analyst'], createdAt: null, secondFactorAt: null }
const labels = { sensitivity: 'restricted', purposes: ['fraud', 'support'], owner: 'acme' }
const asking = { action: 'chat', resource: 'language', labels, address: '192.0.2.7', purpose: null, target: null, now: noon } as const
const risk = {
  principal: 'alice',
  score: 0.8,
  kind: 'extraction-sweep',
  at: noon - 6 * hour,
  until: noon + 18 * hour,
  halfLifeMs: 6 * hour,
}
const risks = risksOf(new Map([['alice', risk]]))
const requestOf = policyRequests({ countryOf: (address) => (address === '192.0.2.7' ? 'DE' : null), risks })

describe('what a policy decides on', () => {
  it('is who calls, what for, and under what circumstances', () => {
    assert.deepEqual(requestOf({ ...alice, createdAt: noon - 36 * hour, secondFactorAt: noon - 1 }, { ...asking, purpose: 'fraud' }), {
      principal: 'alice',
      organization: 'acme',
      roles: ['analyst'],
      method: 'key',
      action: 'chat',
      resource: 'language',
      context: {
        now: noon,
        address: '192.0.2.7',
        country: 'DE',
        hour: 12,
        keyAgeDays: 1.5,
        sensitivity: 'restricted',
        owner: 'acme',
        purposes: ['fraud', 'support'],
        purpose: 'fraud',
        // 0.8, a half-life ago
        risk: 0.4,
        secondFactor: true,
        targetRisk: null,
      },
    })
  })

  it('knows nothing of what nobody says', () => {
    const { context } = policyRequests({ countryOf: null, risks })({ ...alice, principal: 'bob' }, { ...asking, labels: null })
    const { country, keyAgeDays, sensitivity, owner, purposes, purpose, risk: none, secondFactor } = context
    assert.deepEqual(
      [country, keyAgeDays, sensitivity, owner, purposes, purpose, none, secondFactor],
      [null, null, null, null, [], null, 0, false],
    )
  })

  it('is as risky as whoever an administrator acts on, and an administrator is nobody of his name', () => {
    const olga = { ...alice, method: 'account' }
    const release = { ...asking, action: 'release', resource: 'principal:alice/deny-principal', labels: null } as const
    const risksOfBoth = ({ context: { risk, targetRisk } }: ReturnType<typeof requestOf>) => [risk, targetRisk]
    assert.deepEqual(risksOfBoth(requestOf(olga, { ...release, target: 'alice' })), [0, 0.4])
    assert.deepEqual(risksOfBoth(requestOf({ ...olga, method: 'machine' }, { ...release, target: 'bob' })), [0, 0])
    assert.deepEqual(risksOfBoth(requestOf({ ...olga, method: 'oidc' }, { ...release, target: null })), [0.4, null])
  })

  it('has the hour of the day in UTC', () => {
    const hours = [-12 * hour, -12 * hour - 1, 11 * hour + 3_599_999].map(
      (after) => requestOf(alice, { ...asking, now: noon + after }).context.hour,
    )
    assert.deepEqual(hours, [0, 23, 23])
  })

  it('does not repeat a purpose that the model is not for', () => {
    for (const purpose of ['Fraud', '', 'marketing', '__proto__'])
      assert.equal(requestOf(alice, { ...asking, purpose }).context.purpose, null)
    assert.equal(requestOf(alice, { ...asking, purpose: 'x', labels: { ...labels, purposes: [] } }).context.purpose, null)
  })

  it('counts a second factor for a quarter of an hour, and none of the future', () => {
    const proved = (after: number) => requestOf({ ...alice, secondFactorAt: noon + after }, asking).context.secondFactor
    assert.deepEqual([0, -15 * 60_000, -15 * 60_000 - 1, 60_000, 60_001].map(proved), [true, true, false, true, false])
  })

  it('takes a key of tomorrow for one of now', () => {
    assert.equal(requestOf({ ...alice, createdAt: noon + hour }, asking).context.keyAgeDays, 0)
  })
})

describe('counting decisions', () => {
  it('counts denials by policy, with a bound on labels, and not what is allowed', async () => {
    const registry = new Registry()
    let decision: PolicyDecision = { allowed: true, policies: ['all'], version: 'v', errors: [], tookMicros: 20 }
    const engine = counted({ version: 'v', decide: () => decision }, registry)
    const decide = (changes: Partial<PolicyDecision>) => {
      decision = { ...decision, allowed: false, policies: [], errors: [], ...changes }
      assert.equal(engine.decide(ask()), decision)
    }
    decide({ allowed: true, policies: ['all'] })
    decide({ policies: ['a', 'b'] })
    decide({})
    decide({ errors: ['policy engine away'] })
    for (let i = 0; i < 300; i++) decide({ policies: [`p${i}`] })
    const metric = await registry.getSingleMetric('cordon_policy_denials_total')?.get()
    const counts = new Map(metric?.values.map(({ labels: { policy }, value }) => [policy, value]))
    assert.deepEqual(
      [counts.get('a'), counts.get('b'), counts.get('none'), counts.get('error'), counts.get('all')],
      [1, 1, 1, 1, undefined],
    )
    // 256 labels, two of them a and b: 254 of 300 have their own.
    assert.deepEqual([counts.get('p253'), counts.get('p254'), counts.get('other'), counts.size], [1, undefined, 46, 259])
    assert.match(await registry.metrics(), /cordon_policy_decision_seconds_count 304/)
  })

  it('counts what was only considered once it stands, and how long it took at once', async () => {
    for (const later of [false, true]) {
      const registry = new Registry()
      const decision: PolicyDecision = { allowed: false, policies: ['a'], version: 'v', errors: [], tookMicros: 5 }
      const engine = counted({ version: 'v', decide: () => (later ? Promise.resolve(decision) : decision) }, registry)
      for (let i = 0; i < 3; i++) assert.equal(await engine.consider(ask()), decision)
      assert.doesNotMatch(await registry.metrics(), /cordon_policy_denials_total\{/)
      engine.note(decision)
      engine.note({ ...decision, allowed: true })
      assert.match(await registry.metrics(), /cordon_policy_denials_total\{policy="a"\} 1\n/)
      assert.match(await registry.metrics(), /cordon_policy_decision_seconds_count 3/)
    }
  })

  it('counts those that take a while too', async () => {
    const registry = new Registry()
    const decision: PolicyDecision = { allowed: false, policies: [], version: '', errors: ['x'], tookMicros: 5 }
    assert.equal(await counted({ version: 'v', decide: async () => decision }, registry).decide(ask()), decision)
    assert.match(await registry.metrics(), /cordon_policy_denials_total\{policy="error"\} 1/)
  })
})
