import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { openView } from '../../../bus/view.ts'
import { RiskBook } from '../../../pipeline/response/risks.ts'
import { type Finding, riskAt } from '../../../schemas/index.ts'
import { finding, hash, start } from '../../responders/given.ts'
import { Given } from '../response-given.ts'
import { until } from '../until.ts'

const hour = 60 * 60 * 1_000
const t0 = 1_780_000_000_000

function seen(principal: string, confidence: number, hours = 0): Finding {
  return finding({ principals: [principal], confidence, time: t0 + hours * hour })
}

/** What the book says of each, as text, at a time. */
function changes(book: RiskBook, what: Finding, hours: number): string[] {
  return book.note(what, t0 + hours * hour).map((risk) => `${risk.principal} ${riskAt(risk, t0 + hours * hour).toFixed(3)}`)
}

describe('the risk of a principal', () => {
  it('halves every six hours and ends after four of them', () => {
    const [risk] = new RiskBook(10).note(seen('alice', 0.8), t0)
    assert.ok(risk)
    const at = (hours: number) => Number(riskAt(risk, t0 + hours * hour).toFixed(4))
    // 0.8, 0.8/√2, 0.8/2, 0.8/4, just above 0.8/16, none; a clock that is behind does not raise it
    assert.deepEqual([0, 3, 6, 12, 23.999, 24, -5].map(at), [0.8, 0.5657, 0.4, 0.2, 0.05, 0, 0.8])
  })

  it('is that of the most confident finding that has not faded', () => {
    const book = new RiskBook(10)
    assert.deepEqual(changes(book, seen('alice', 0.8), 0), ['alice 0.800'])
    assert.deepEqual(changes(book, seen('alice', 0.5, 1), 1), [], 'less than 0.8 · 2^(-1/6) = 0.71')
    assert.deepEqual(changes(book, seen('alice', 0.5, 5), 5), ['alice 0.500'], 'more than 0.8 · 2^(-5/6) = 0.45')
    assert.deepEqual(changes(book, seen('alice', 0.8, 0), 5), [], 'delivered again')
  })

  it('comes to the same in whatever order findings come', () => {
    const findings = [seen('alice', 0.9), seen('alice', 0.3, 2), seen('alice', 0.7, 4), seen('alice', 0.6, 4)]
    const orders = [findings, findings.toReversed(), [2, 0, 3, 1].flatMap((i) => findings[i] ?? [])]
    const last = orders.map((order) => {
      const book = new RiskBook(10)
      return order.flatMap((one) => book.note(one, t0 + 4 * hour)).at(-1)?.score
    })
    // 0.9 · 2^(-4/6) = 0.567 < 0.7
    assert.deepEqual(last, [0.7, 0.7, 0.7])
  })

  it('does not last longer for a clock that is ahead', () => {
    const [risk] = new RiskBook(10).note(seen('alice', 0.8, 100), t0)
    assert.equal(risk?.at, t0)
  })

  it('is forgotten when it has faded, and beyond the bound when it will be soonest', () => {
    const book = new RiskBook(2)
    book.note(seen('early', 0.9), t0)
    for (const name of ['a', 'b', 'c']) book.note(seen(name, 0.9, name.charCodeAt(0) - 96), t0 + 4 * hour)
    assert.deepEqual(book.sweep(t0 + 4 * hour), ['early', 'a'])
    assert.equal(book.size, 2)
    assert.deepEqual(book.sweep(t0 + 26 * hour), ['b'])
    assert.deepEqual(book.sweep(t0 + 27 * hour), ['c'])
  })
})

describe('the response worker', () => {
  let given: Given
  beforeEach(async () => {
    given = await Given.open()
  })
  afterEach(() => given.close())

  const risks = async () => (await given.all('risks')).map(({ principal, score, kind, at }) => [principal, score, kind, at - start])

  it('puts the risk of whom a finding names on the log, and not that of whom one only informs of', async () => {
    await given.start()
    await given.publish(
      finding({ principals: ['mallory', 'eve'], confidence: 0.3 }),
      finding({ id: hash('told'), severity: 'info', principals: ['trent'] }),
      finding({ id: hash('blind'), detector: 'blindness', principals: ['trent'] }),
    )
    await given.handled()
    assert.deepEqual(await risks(), [
      ['mallory', 0.3, 'near-duplicate-probing', 0],
      ['eve', 0.3, 'near-duplicate-probing', 0],
    ])
  })

  it('remembers it when it is started again, and deletes it when it has faded', async () => {
    const first = await given.start()
    await given.publish(finding({ confidence: 0.9 }))
    await given.handled()
    await given.stop(first)
    given.now += hour
    const { worker } = await given.start()
    await given.publish(finding({ id: hash('less'), confidence: 0.5, time: given.now }))
    await given.handled()
    assert.deepEqual(await risks(), [['mallory', 0.9, 'near-duplicate-probing', 0]])
    const view = await openView(given.bus, 'risks')
    assert.equal(view.size, 1)
    given.now += 24 * hour
    await worker.tick()
    await until('the risk to be gone', async () => view.size === 0)
    await view.close()
  })
})
