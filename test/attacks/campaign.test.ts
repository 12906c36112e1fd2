import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Accounts, Campaign, Exchange, Threat } from './campaign.ts'
import { looksHardened } from './disguise.ts'
import type { ExtractionAttack } from './extraction-attacks.ts'
import { adaptive, compose, type Form, mixed, plain, slow, standardForms, sybil } from './forms.ts'
import { type Answer, Attempt, type Oracle } from './oracle.ts'
import type { QuerySetting } from './query-attacks.ts'
import { seeded } from './random.ts'
import { runCampaign, streamCampaign } from './run-campaign.ts'
import { extractionThreat, queryThreat } from './threats.ts'

const hour = 3_600_000
const flat = (value: number) => new Float32Array(16).fill(value)

/** Answers each account so often, then refuses it. */
function limited(perAccount: number): Accounts {
  const counts = new Map<string, number>()
  return {
    query: async (principal, image) => {
      const count = (counts.get(principal) ?? 0) + 1
      counts.set(principal, count)
      if (count > perAccount) return { refused: true, status: 429, retryAfterMs: 1_000 }
      return { refused: false, label: 0, probabilities: Float32Array.of(0.7001 + (image[0] ?? 0) / 1_000, 0.29) }
    },
  }
}

/** Asks image after image until it is refused or done. */
const asking: Threat = {
  name: 'asking',
  run: (oracle, { number, budget }) => {
    const attempt = new Attempt(oracle, { source: flat(0), label: 0 }, budget)
    return attempt.run(async () => {
      for (let i = 0; ; i++) await attempt.ask(flat((number + i) / 1_000))
    })
  },
}

async function played(form: Form, accounts: Accounts, changes: Partial<Campaign> = {}) {
  const random = seeded(8)
  const principals = Array.from({ length: 60 }, (_, i) => `account-${i}`)
  const images = () => flat(0.5 + random.next() / 10)
  const seen: Exchange[] = []
  const outcome = await runCampaign({ threat: asking, form, accounts, random, principals, images, budget: 100, ...changes }, (exchange) => {
    seen.push(exchange)
    return true
  })
  return { seen, outcome, attack: seen.filter(({ origin }) => origin === 'attack') }
}

describe('forms of an attack', () => {
  it('plain: one account, in order, over at the first refusal', async () => {
    const { seen, outcome } = await played(plain, limited(20))
    assert.equal(seen.length, 21)
    assert.deepEqual(outcome.principals, ['account-0'])
    assert.ok(seen.every(({ at }, i) => i === 0 || at >= (seen[i - 1]?.at ?? 0)))
  })

  it('sybil: takes turns, and goes on with those not refused', async () => {
    const { seen, outcome } = await played(sybil({ accounts: 5 }), limited(10))
    assert.deepEqual(
      seen.slice(0, 6).map(({ principal }) => principal),
      ['account-0', 'account-1', 'account-2', 'account-3', 'account-4', 'account-0'],
    )
    assert.deepEqual(outcome.sent, { attack: 55, ordinary: 0, refused: 5 })
  })

  it('sybil, sequential: one account up to its share, then the next', async () => {
    const { seen } = await played(sybil({ accounts: 4, order: 'sequential' }), limited(1_000))
    const uses = ['account-0', 'account-1', 'account-2', 'account-3'].map(
      (name) => seen.filter(({ principal }) => principal === name).length,
    )
    assert.deepEqual(uses, [25, 25, 25, 25])
  })

  it('mixed: nine ordinary queries to one of the attack, in the same name', async () => {
    const { seen, attack } = await played(mixed({ ordinary: 9 }), limited(10_000))
    assert.equal(attack.length, 100)
    const share = (seen.length - 100) / 100
    assert.ok(share > 7.5 && share < 10.5, `1:${share}`)
  })

  it('slow: spread over its hours of virtual time', async () => {
    const { outcome } = await played(slow({ hours: 48 }), limited(1_000))
    assert.ok(outcome.until > 20 * hour && outcome.until < 96 * hour, `${outcome.until / hour} h`)
  })

  it('adaptive: next key at a refusal, ordinary queries first, then noise that grows, and never more than 50 keys', async () => {
    const { attack, outcome, seen } = await played(adaptive({ keys: 50 }), limited(4), { budget: 300 })
    assert.ok(outcome.principals.length > 10 && outcome.principals.length <= 50, `${outcome.principals.length} keys`)
    assert.ok(outcome.rounds > 1, 'began again')
    const second = seen.filter(({ principal }) => principal === 'account-1')
    assert.deepEqual(
      second.slice(0, 3).map(({ origin }) => origin),
      ['ordinary', 'ordinary', 'attack'],
    )
    const shaken = (exchange: Exchange | undefined) => new Set(exchange?.image).size > 1
    assert.equal(shaken(attack[0]), false)
    assert.equal(shaken(attack.at(-1)), true)
  })

  it('adaptive: leaves a key whose answers were rounded three times', async () => {
    const rounding: Accounts = {
      query: async (principal): Promise<Answer> => ({
        refused: false,
        label: 0,
        probabilities: principal === 'account-0' ? Float32Array.of(0.71, 0.29) : Float32Array.of(0.7123, 0.2877),
      }),
    }
    const { attack } = await played(adaptive(), rounding)
    assert.equal(attack.filter(({ principal }) => principal === 'account-0').length, 3)
  })

  it('adaptive: asks nothing twice', async () => {
    const repeating: Threat = { ...asking, run: async (oracle) => (await oracle.query(flat(0.1)), await oracle.query(flat(0.1)), null) }
    const { attack } = await played(adaptive({ restarts: 0 }), limited(100), { threat: repeating })
    assert.equal(attack.length, 1)
  })

  it('composes: many accounts, padded and slow', async () => {
    const { outcome } = await played(compose(sybil({ accounts: 3 }), mixed({ ordinary: 2 }), slow({ hours: 10 })), limited(1_000))
    assert.equal(outcome.principals.length, 3)
    assert.ok(outcome.sent.ordinary > 120)
    assert.ok(outcome.until > 3 * hour)
  })

  it('runs a theft: every answer that five accounts give before their limit is had', async () => {
    const theft: ExtractionAttack = {
      name: 'counting',
      seeds: 0,
      queries: function* () {
        for (let i = 0; ; i++) yield flat(i / 1_000)
      },
    }
    const threat = extractionThreat(theft, () => flat(0))
    const { seen, outcome } = await played(sybil({ accounts: 5 }), limited(10), { threat })
    assert.equal(outcome.result, null)
    assert.equal(seen.filter(({ answer }) => !answer.refused).length, 50)
  })

  it('runs an evasion attack: adaptive, it begins again from a jittered source', async () => {
    const sources: number[] = []
    const attack = {
      name: 'once',
      run: (oracle: Oracle, { target, budget }: QuerySetting) => {
        sources.push(new Set(target.source).size)
        const attempt = new Attempt(oracle, target, budget)
        return attempt.run(async () => {
          for (let i = 0; ; i++) await attempt.ask(target.source.map((value) => value + i / 1_000))
        })
      },
    }
    const threat = queryThreat(attack, { target: { source: flat(0.5), label: 0 }, other: flat(0.9), images: () => flat(0.4) })
    await played(adaptive({ keys: 5, restarts: 3 }), limited(4), { threat })
    assert.equal(sources[0], 1)
    assert.ok(sources.length > 1 && sources.slice(1).every((shades) => shades > 1))
  })

  it('streams the same exchanges, and stops where its reader stops', async () => {
    for (const form of standardForms) {
      const campaign = () => {
        const random = seeded(3)
        const principals = Array.from({ length: 60 }, (_, i) => `account-${i}`)
        return { threat: asking, form, accounts: limited(30), random, principals, images: () => flat(random.next()), budget: 60 }
      }
      const direct: Exchange[] = []
      await runCampaign(campaign(), (exchange) => direct.push(exchange) > 0)
      const streamed: Exchange[] = []
      for await (const exchange of streamCampaign(campaign())) streamed.push(exchange)
      assert.deepEqual(streamed, direct, form.name)
      let few = 0
      for await (const _ of streamCampaign(campaign())) if (++few === 5) break
      assert.equal(few, 5)
    }
  })

  it('hands a failure of the accounts to the reader', async () => {
    const broken: Accounts = { query: () => Promise.reject(new Error('no route')) }
    await assert.rejects(played(plain, broken), /no route/)
  })

  it('takes rounded and label-only answers for hardened, a model’s own not', () => {
    assert.equal(looksHardened(Float32Array.of(0.71, 0.29)), true)
    assert.equal(looksHardened(Float32Array.of(1, 0, 0)), true)
    assert.equal(looksHardened(Float32Array.of(0.9999999, 1e-8, 3e-12)), false)
  })
})
