import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Ledger } from '../../limits/ledger.ts'
import { SharedMeter } from '../../limits/meter.ts'
import { Unanswered } from '../../limits/unanswered.ts'
import type { Spending } from '../../schemas/index.ts'
import { payer, rule } from './payers.ts'

const at = Date.UTC(2026, 10, 22, 13)
const rules = [rule({ amount: 100 })]
const cost = (amount: number) => ({ requests: 1, tokens: 0, cost: amount })

/** A node that asks for one call's room, and what it says of it. */
function asking(name: string, now: number): { readonly meter: SharedMeter; readonly said: Spending } {
  const meter = new SharedMeter({ rules, instance: `${name}~1`, nodes: 4, whenAway: 'local' })
  meter.reserve(payer(), cost(1), now)
  return { meter, said: { node: name, at: now, lines: [...meter.report(now)] } }
}

/** Who takes charge at that time, and whether the node may spend then. */
function isServed({ meter }: { readonly meter: SharedMeter }, unanswered: Unanswered, now: number): boolean {
  const ledger = new Ledger({ rules, nodes: 4 })
  for (const spending of unanswered.take(now)) {
    for (const bucket of ledger.take(spending, now)) {
      const share = ledger.share(bucket)
      if (share !== undefined) meter.hear(share)
    }
  }
  return meter.reserve(payer(), cost(1), now).ok
}

describe('what was said while nobody was in charge', () => {
  it('is answered by who takes it, once', () => {
    const [unanswered, node] = [new Unanswered(), asking('a', at)]
    unanswered.note(node.said, at)
    assert.equal(isServed(node, unanswered, at + 1_000), true)
    assert.deepEqual(unanswered.take(at + 1_000), [])
  })

  it('grants nothing to who asked too long ago, and may be gone', () => {
    const [unanswered, node] = [new Unanswered(), asking('a', at)]
    unanswered.note(node.said, at)
    assert.equal(isServed(node, unanswered, at + 2_001), false)
  })

  it('is the newest word of each line, in whatever order they come', () => {
    const unanswered = new Unanswered()
    const { said } = asking('a', at)
    const later = { ...said, at: at + 500, lines: said.lines.map((line) => ({ ...line, wants: 7 })) }
    for (const one of [said, later, said]) unanswered.note(one, at + 600)
    assert.deepEqual(unanswered.take(at + 600), [later])
  })

  it('is no more once the log shows that somebody heard it', () => {
    const unanswered = new Unanswered()
    const nodes = [asking('a', at), asking('b', at + 100)]
    const ledger = new Ledger({ rules, nodes: 4 })
    for (const { said } of nodes) unanswered.note(said, at + 100)
    const [bucket = ''] = ledger.take(nodes[0]?.said as Spending, at + 100)
    const share = ledger.share(bucket)
    assert.ok(share !== undefined)
    unanswered.forget(share)
    assert.deepEqual(
      unanswered.take(at + 100).map(({ node }) => node),
      ['b'],
    )
  })

  it('counts what was spent meanwhile, however long ago: nobody is told of it again', () => {
    const { meter, said } = asking('a', at)
    const unanswered = new Unanswered()
    meter.away = true
    for (let i = 0; i < 60; i++) assert.equal(meter.reserve(payer(), cost(1), at + 100).ok, true)
    unanswered.note({ ...said, at: at + 5_200, lines: [...meter.report(at + 5_200)] }, at + 5_200)
    const ledger = new Ledger({ rules, nodes: 4 })
    for (const spending of unanswered.take(at + 60_000)) ledger.take(spending, at + 60_000)
    // What 100 is without 60, and the starters of three nodes that have not begun.
    assert.equal(ledger.share(said.lines[0]?.bucket ?? '')?.left, 100 - 60 - 3 * 0.25)
  })

  it('is bounded', () => {
    const unanswered = new Unanswered()
    const { said } = asking('a', at)
    const [line] = said.lines
    assert.ok(line !== undefined)
    for (let i = 0; i < 10_050; i++) unanswered.note({ ...said, lines: [{ ...line, line: `a~1#${i}` }] }, at)
    const kept = unanswered.take(at)
    assert.deepEqual([kept.length, kept[0]?.lines[0]?.line], [10_000, 'a~1#50'])
  })
})
