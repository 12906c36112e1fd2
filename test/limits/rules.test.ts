import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { nameOf } from '../../access/oidc/claims.ts'
import { factorOf, LimitRule, matcherOf, subjectOf, windowAt } from '../../limits/rules.ts'
import { payer, rule } from './payers.ts'

const at = Date.UTC(2026, 10, 22, 13, 30, 15, 250)

describe('windows', () => {
  const rows = [
    { windowMs: 1_000, start: Date.UTC(2026, 10, 22, 13, 30, 15), lasts: 1_000 },
    { windowMs: 3_600_000, start: Date.UTC(2026, 10, 22, 13), lasts: 3_600_000 },
    { calendar: 'day', start: Date.UTC(2026, 10, 22), lasts: 86_400_000 },
    // November has 30 days.
    { calendar: 'month', start: Date.UTC(2026, 10, 1), lasts: 30 * 86_400_000 },
  ]
  for (const { start, lasts, ...window } of rows) {
    test(`${JSON.stringify(window)} begins at ${new Date(start).toISOString()}`, () => {
      const limit = 'calendar' in window ? rule(window) : rule({ windowMs: window.windowMs })
      assert.deepEqual(windowAt(limit, at), { start, end: start + lasts })
    })
  }

  test('a month ends where the next begins, in December too', () => {
    const limit = rule({ calendar: 'month' })
    const december = windowAt(limit, Date.UTC(2026, 11, 31, 23, 59, 59, 999))
    assert.equal(december.end, Date.UTC(2027, 0, 1))
    assert.equal(windowAt(limit, december.end).start, december.end)
  })
})

test('a rule says either how long its window is, or which calendar it goes by', () => {
  const neither = { name: 'x', amount: 1 }
  assert.equal(LimitRule.safeParse(neither).success, false)
  assert.equal(LimitRule.safeParse({ ...neither, windowMs: 1_000, calendar: 'day' }).success, false)
  assert.equal(LimitRule.safeParse({ ...neither, windowMs: 999 }).success, false)
  assert.equal(LimitRule.safeParse({ ...neither, windowMs: 31 * 86_400_000 }).success, true)
})

describe('whose allowance it is', () => {
  const caller = payer({ keyId: 'k1', organization: 'acme' })
  const rows = [
    { over: 'principal', subject: 'alice' },
    { over: 'key', subject: 'k1' },
    { over: 'organization', subject: 'acme' },
    { over: 'model', subject: 'digits' },
    { over: 'everyone', subject: 'everyone' },
  ]
  for (const { over, subject } of rows) {
    test(`over ${over}: ${subject}`, () => assert.equal(subjectOf(rule({ over }), caller), subject))
  }
  test('who has no organization is not counted by one', () => assert.equal(subjectOf(rule({ over: 'organization' }), payer()), null))
  test('who has no key of ours is counted as themselves', () => assert.equal(subjectOf(rule({ over: 'key' }), payer()), 'alice'))

  describe('of who comes by a client of an identity provider', () => {
    const limit = rule({ over: 'key' })
    const byClient = (client: string, sub: string) => {
      const [keyId, principal] = [nameOf('idp', client), nameOf('idp', sub)]
      assert.ok(principal !== null)
      return subjectOf(limit, payer({ keyId, principal, sharedKey: true }))
    }

    test('is that client and the caller', () => assert.equal(byClient('web', 'alice'), 'idp:web++idp:alice'))

    test('is nobody else’s, whatever clients and callers are called', () => {
      const text = fc.string({ unit: fc.constantFrom('a', ':', '+', '|', 'idp:', '2', 'B'), minLength: 1, maxLength: 12 })
      const pair = fc.tuple(text, text)
      fc.assert(
        fc.property(pair, pair, ([client, sub], [otherClient, otherSub]) => {
          const same = client === otherClient && sub === otherSub
          assert.equal(byClient(client, sub) === byClient(otherClient, otherSub), same)
          // Nor that of a caller whose token names no client.
          assert.notEqual(byClient(client, sub), nameOf('idp', otherSub))
        }),
        {
          seed: 1,
          numRuns: 2_000,
          examples: [
            [
              ['a+', 'b'],
              ['a', '+b'],
            ],
            [
              ['a', 'idp:b'],
              ['a:idp', 'b'],
            ],
          ],
        },
      )
    })

    test('is themselves where both together are longer than a name may be', () => {
      const longest = 'x'.repeat(128 - 'idp:web++idp:'.length)
      assert.equal(byClient('web', longest), `idp:web++idp:${longest}`)
      assert.equal(byClient('web', `${longest}x`), `idp:${longest}x`)
    })
  })
})

describe('to whom it applies', () => {
  const rows = [
    { match: {}, applies: true },
    { match: { principal: 'ali*' }, applies: true },
    { match: { principal: 'bob*' }, applies: false },
    { match: { model: 'digits', principal: '*ice' }, applies: true },
    { match: { model: 'digit' }, applies: false },
    // A dot is a dot, and no pattern matches an organization that is not there.
    { match: { principal: 'al.ce' }, applies: false },
    { match: { organization: 'a*' }, applies: false },
  ]
  for (const { match, applies } of rows) {
    test(`${JSON.stringify(match)}: ${applies}`, () => assert.equal(matcherOf(rule({ match }))(payer()), applies))
  }
})

describe('what lowers the amount', () => {
  const adaptive = {
    newKeyDays: 7,
    newKeyFactor: 0.5,
    newPlaceFactor: 0.4,
    risk: [
      { from: 0.3, factor: 0.8 },
      { from: 0.7, factor: 0.1 },
    ],
    failures: { count: 5, windowMs: 60_000, factor: 0.25 },
  }
  const day = 86_400_000
  const rows = [
    { what: 'nothing', is: {}, failures: 0, factor: 1 },
    { what: 'a key of yesterday', is: { keyCreatedAt: at - day }, failures: 0, factor: 0.5 },
    { what: 'a key of last week', is: { keyCreatedAt: at - 7 * day }, failures: 0, factor: 1 },
    { what: 'a new place', is: { newPlace: true }, failures: 0, factor: 0.4 },
    { what: 'some risk', is: { risk: 0.5 }, failures: 0, factor: 0.8 },
    { what: 'much risk, of a new key', is: { risk: 0.9, keyCreatedAt: at }, failures: 0, factor: 0.1 },
    { what: 'four failures', is: {}, failures: 4, factor: 1 },
    { what: 'five failures', is: {}, failures: 5, factor: 0.25 },
  ]
  for (const { what, is, failures, factor } of rows) {
    test(`${what}: ${factor}`, () => assert.equal(factorOf(rule({ adaptive }), payer(is), failures, at), factor))
  }
})
