import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isAuthorized } from '@cedar-policy/cedar-wasm/nodejs'
import { CedarEngine } from '../../policy/cedar.ts'
import { askedBy, callOf, seenOf } from '../../policy/cedar-call.ts'
import { policySetOf, schemaText } from '../../policy/policy-set.ts'
import { administrativeActions, type PolicyDecision } from '../../policy/port.ts'
import { ask } from './given.ts'

function setOf(...policies: string[]) {
  return policySetOf([{ name: 'test.cedar', text: policies.join('\n') }])
}

const permit = '@id("all") permit (principal, action, resource);'

function forbid(when: string): string {
  return `@id("not") forbid (principal, action in Action::"inference", resource is Model) when { ${when} };`
}

/** Without what takes time. */
function plain({ tookMicros: _tookMicros, ...decision }: PolicyDecision) {
  return decision
}

describe('deciding by Cedar', () => {
  it('allows what a policy permits and none forbids, and says which', () => {
    const engine = new CedarEngine(setOf(permit, forbid('context.hour < 6')))
    const { version } = engine
    assert.deepEqual(plain(engine.decide(ask())), { allowed: true, policies: ['all'], version, errors: [] })
    assert.deepEqual(plain(engine.decide(ask({ context: { hour: 5 } }))), { allowed: false, policies: ['not'], version, errors: [] })
    assert.ok(engine.decide(ask()).tookMicros >= 0)
  })

  it('denies what no policy permits', () => {
    const engine = new CedarEngine(setOf('@id("bob") permit (principal == User::"bob", action, resource);'))
    assert.deepEqual([engine.decide(ask()).allowed, engine.decide(ask()).policies], [false, []])
    assert.equal(engine.decide(ask({ principal: 'bob' })).allowed, true)
  })

  it('allows nothing where a policy cannot be evaluated', () => {
    // For Cedar a policy that fails does not count, and this one forbids: 2^63 - 1 + 1 is more than a Long holds.
    const engine = new CedarEngine(setOf(permit, forbid('context.hour + 9223372036854775807 > 0')))
    const decision = engine.decide(ask({ context: { hour: 1 } }))
    assert.deepEqual([decision.allowed, decision.errors.length], [false, 1])
    assert.match(decision.errors[0] ?? '', /^not: .*overflow/)
  })

  it('tells apart whatever a policy can see', () => {
    const seen: [string, Parameters<typeof ask>[0]][] = [
      ['principal == User::"mallory"', { principal: 'mallory' }],
      ['principal has organization && principal.organization == "evil"', { organization: 'evil' }],
      ['!(principal has organization)', { organization: null }],
      ['principal in Role::"guest"', { roles: ['guest'] }],
      ['principal.method == "oidc"', { method: 'oidc' }],
      ['action == Action::"chat"', { action: 'chat' }],
      ['resource == Model::"language"', { resource: 'language' }],
      ['resource has sensitivity && resource.sensitivity == "restricted"', { context: { sensitivity: 'restricted' } }],
      ['resource has owner && resource.owner == "acme"', { context: { owner: 'acme' } }],
      ['resource.purposes.contains("fraud")', { context: { purposes: ['fraud'] } }],
      ['context has address && context.address.isInRange(ip("10.0.0.0/8"))', { context: { address: '::ffff:10.1.2.3' } }],
      ['context has address && context.address.isInRange(ip("fe80::/10"))', { context: { address: 'fe80::1%eth0' } }],
      ['!(context has address)', { context: { address: '' } }],
      ['context has country && context.country == "DE"', { context: { country: 'DE' } }],
      ['context.hour == 3', { context: { hour: 3 } }],
      ['context has keyAgeDays && context.keyAgeDays < 1', { context: { keyAgeDays: 0.999 } }],
      ['!(context has keyAgeDays)', { context: { keyAgeDays: null } }],
      ['context has purpose && context.purpose == "fraud"', { context: { purpose: 'fraud' } }],
      ['context.risk.greaterThan(decimal("0.5"))', { context: { risk: 0.501 } }],
      ['context.secondFactor', { context: { secondFactor: true } }],
      ['context has targetRisk && context.targetRisk.greaterThan(decimal("0.5"))', { context: { targetRisk: 0.501 } }],
      ['context has targetRisk', { context: { targetRisk: 0 } }],
    ]
    for (const [when, changes] of seen) {
      const engine = new CedarEngine(setOf(permit, forbid(when)))
      // Both ways, and again: what was decided before must not decide for the other.
      for (const _ of [1, 2]) {
        assert.equal(engine.decide(ask()).allowed, true, when)
        assert.equal(engine.decide(ask(changes)).allowed, false, when)
      }
    }
  })

  it('finds what a policy reads however it spells it', () => {
    const engine = new CedarEngine(setOf(permit, forbid('context["\\u{68}our"] == 3')))
    assert.equal(engine.decide(ask({ context: { hour: 3 } })).allowed, false)
    assert.equal(engine.decide(ask()).allowed, true)
  })

  it('never takes a risk for less than it is', () => {
    const engine = new CedarEngine(setOf(permit, forbid('context.risk.greaterThanOrEqual(decimal("0.9"))')))
    const allowed = (risk: number) => engine.decide(ask({ context: { risk } })).allowed
    // In hundredths, rounded up.
    assert.deepEqual([0, 0.07, 0.89, 0.8901, 0.9, 1, 7, Number.NaN, -1].map(allowed), [
      true,
      true,
      true,
      false,
      false,
      false,
      false,
      false,
      true,
    ])
  })

  it('decides by other policies from the swap on, of what was decided before too', () => {
    const engine = new CedarEngine(setOf(permit))
    assert.equal(engine.decide(ask()).allowed, true)
    const before = engine.version
    for (const turn of [1, 2, 3]) {
      engine.use(setOf(permit, forbid(`principal == User::"alice" && ${turn} > 0`)))
      assert.equal(engine.decide(ask()).allowed, false)
      assert.notEqual(engine.decide(ask()).version, before)
      engine.use(setOf(permit))
      assert.deepEqual([engine.decide(ask()).allowed, engine.decide(ask()).version], [true, before])
    }
  })

  it('keeps two engines apart', () => {
    const [open, shut] = [new CedarEngine(setOf(permit)), new CedarEngine(setOf(permit, forbid('true')))]
    assert.deepEqual([open.decide(ask()).allowed, shut.decide(ask()).allowed], [true, false])
  })

  it('asks what its schema says, for every action', () => {
    const all = askedBy(['address country hour keyAgeDays risk targetRisk'])
    for (const action of ['infer', 'chat', 'completion', 'embedding', ...administrativeActions] as const) {
      const full = ask({
        action,
        roles: ['analyst'],
        context: { country: 'DE', owner: 'acme', purposes: ['a'], purpose: 'a', address: '::1', targetRisk: 0.5 },
      })
      const empty = ask({ action, organization: null, context: { keyAgeDays: null, sensitivity: null, address: 'x' } })
      for (const request of [full, empty]) {
        const { preparsedPolicySetId: _id, ...call } = callOf(seenOf(request, all), '')
        const answer = isAuthorized({ ...call, schema: schemaText, validateRequest: true, policies: { staticPolicies: permit } })
        assert.equal(answer.type, 'success', JSON.stringify(answer))
      }
    }
  })

  it('remembers no more decisions than it may', () => {
    const engine = new CedarEngine(setOf(permit), 3)
    for (let i = 0; i < 10; i++) engine.decide(ask({ principal: `p${i % 5}` }))
    assert.equal(engine.remembered, 3)
  })
})
