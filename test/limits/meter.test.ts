import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Ledger } from '../../limits/ledger.ts'
import { SharedMeter } from '../../limits/meter.ts'
import type { Payer, Reservation, Usage } from '../../limits/port.ts'
import type { LimitRule } from '../../limits/rules.ts'
import { payer, rule } from './payers.ts'

const at = Date.UTC(2026, 10, 22, 13)
const cost = (amount: number): Usage => ({ requests: 1, tokens: 0, cost: amount })

interface Options {
  readonly nodes?: number
  readonly whenAway?: 'refuse' | 'local'
  readonly maxAccounts?: number
}

/** One node whose questions are answered at once, where `shares` says so. */
class Lone {
  readonly meter: SharedMeter
  readonly ledger: Ledger

  constructor(rules: readonly LimitRule[], options: Options = {}) {
    const { nodes = 4, whenAway = 'refuse', maxAccounts = 100 } = options
    this.meter = new SharedMeter({ rules, instance: 'a~1', nodes, whenAway, maxAccounts })
    this.ledger = new Ledger({ rules, nodes })
  }

  talk(now: number): void {
    const said = { node: 'a', at: now, lines: [...this.meter.report(now)] }
    for (const bucket of this.ledger.take(said, now)) {
      const share = this.ledger.share(bucket)
      if (share !== undefined) this.meter.hear(share)
    }
  }

  /** Asks, waits for the answer, and asks once more. */
  call(who: Payer, most: Usage, now: number): Reservation {
    const first = this.meter.reserve(who, most, now)
    this.talk(now)
    return first.ok ? first : this.meter.reserve(who, most, now)
  }
}

function refused(reservation: Reservation): Extract<Reservation, { ok: false }> {
  assert.equal(reservation.ok, false)
  return reservation as Extract<Reservation, { ok: false }>
}

describe('a reservation', () => {
  test('is made before the call, and gives back what the call did not take', () => {
    const node = new Lone([rule({ amount: 10 })], { nodes: 1 })
    const first = node.call(payer(), cost(6), at)
    assert.equal(first.ok, true)
    // 6 of 10 are set aside: another 6 would overspend if both calls took their most.
    refused(node.call(payer(), cost(6), at))
    if (first.ok) first.settle(cost(1), at + 100)
    assert.equal(node.call(payer(), cost(6), at + 200).ok, true)
  })

  test('that is settled twice gives back once', () => {
    const node = new Lone([rule({ amount: 10 })], { nodes: 1 })
    const held = node.call(payer(), cost(6), at)
    if (held.ok) for (const _ of [1, 2, 3]) held.settle(cost(5), at)
    refused(node.call(payer(), cost(6), at))
  })

  test('that never settles, or only after an hour, counts at its most', () => {
    const node = new Lone([rule({ amount: 10, calendar: 'day' })], { nodes: 1 })
    const held = node.call(payer(), cost(6), at)
    refused(node.call(payer(), cost(6), at + 7_200_000))
    if (held.ok) held.settle(cost(1), at + 7_200_000)
    refused(node.call(payer(), cost(6), at + 7_200_000))
  })

  test('of a call that took more than was set aside is charged all of it', () => {
    const node = new Lone([rule({ amount: 10 })], { nodes: 1 })
    const held = node.call(payer(), cost(2), at)
    if (held.ok) held.settle(cost(9), at)
    refused(node.call(payer(), cost(2), at))
    assert.equal(node.call(payer(), cost(1), at).ok, true)
  })

  test('of a call that took more is charged at all nodes', () => {
    const limits = [rule({ amount: 100 })]
    const node = new Lone(limits)
    const held = node.call(payer(), cost(1), at)
    if (held.ok) held.settle(cost(98), at)
    node.call(payer(), cost(0.1), at + 5_000)
    const other = new SharedMeter({ rules: limits, instance: 'b~1', nodes: 4, whenAway: 'refuse' })
    other.reserve(payer(), cost(5), at + 5_000)
    for (const bucket of node.ledger.take({ node: 'b', at: at + 5_000, lines: [...other.report(at + 5_000)] }, at + 5_000)) {
      const share = node.ledger.share(bucket)
      if (share !== undefined) other.hear(share)
    }
    refused(other.reserve(payer(), cost(5), at + 5_000))
  })

  test('of a window that is over gives nothing back to the next', () => {
    const node = new Lone([rule({ amount: 10 })], { nodes: 1 })
    const held = node.call(payer(), cost(9), at + 3_500_000)
    assert.equal(node.call(payer(), cost(9), at + 3_600_000).ok, true)
    if (held.ok) held.settle(cost(0), at + 3_600_001)
    refused(node.call(payer(), cost(9), at + 3_600_002))
  })

  test('may be handed on by its settle alone', () => {
    const node = new Lone([rule({ amount: 10 })], { nodes: 1 })
    const held = node.call(payer(), cost(6), at)
    assert.ok(held.ok)
    const { settle } = held
    settle(cost(0), at)
    assert.equal(node.call(payer(), cost(9), at).ok, true)
  })
})

describe('several limits', () => {
  const rules = [
    rule({ name: 'calls', measure: 'requests', amount: 100 }),
    rule({ name: 'money', over: 'organization', amount: 5, calendar: 'month' }),
  ]

  test('all have to let a call through, and what one refuses none takes', () => {
    const node = new Lone(rules, { nodes: 1 })
    const who = payer({ organization: 'acme' })
    assert.equal(node.call(who, cost(4), at).ok, true)
    assert.deepEqual(refused(node.call(who, cost(4), at)).policies, ['money'])
    // Another member of the organization pays from the same money, and has calls of its own.
    assert.deepEqual(refused(node.call(payer({ principal: 'bob', organization: 'acme' }), cost(4), at)).policies, ['money'])
    assert.equal(node.call(payer({ principal: 'carol' }), cost(4), at).ok, true)
  })

  test('a client is told the tightest, in a window of a month too', () => {
    const node = new Lone(rules, { nodes: 1 })
    const reservation = node.call(payer({ organization: 'acme' }), cost(4), at)
    // 22 November, 13:00, to 1 December: 8 days and 11 hours. 5 less 4, less 0.0125 kept for each node that may yet begin.
    assert.deepEqual(reservation.headers, {
      'ratelimit-policy': '"peruser";q=5000000;qu="cost-millionths";w=2592000',
      ratelimit: '"peruser";r=1000000;t=730800',
    })
  })
})

describe('a refusal', () => {
  test('says when waiting helps: once the window is over', () => {
    const node = new Lone([rule({ amount: 10 })], { nodes: 1 })
    const held = node.call(payer(), cost(10), at)
    if (held.ok) held.settle(cost(10), at + 100)
    const { retryMs, never, headers } = refused(node.call(payer(), cost(1), at + 600_000))
    assert.deepEqual([retryMs, never, headers['retry-after']], [3_000_000, false, '3000'])
    assert.equal(node.call(payer(), cost(1), at + 600_000 + retryMs).ok, true)
  })

  test('says to come back in a moment where a call that runs may not take all that it set aside', () => {
    for (const limit of [rule({ amount: 10 }), rule({ amount: 10, windowMs: 20_000 })]) {
      const node = new Lone([limit], { nodes: 1 })
      const [first, second] = [node.call(payer(), cost(4), at), node.call(payer(), cost(4), at)]
      // 2 are left, and 8 held.
      const early = refused(node.call(payer(), cost(9), at + 500))
      assert.deepEqual([early.retryMs, early.headers['retry-after']], [1_000, '1'])
      if (first.ok) first.settle(cost(4), at + 600)
      if (second.ok) second.settle(cost(4), at + 600)
      assert.equal(refused(node.call(payer(), cost(9), at + 600)).retryMs, (limit.windowMs ?? 0) - 600)
      assert.equal(node.call(payer(), cost(2), at + 600).ok, true)
    }
  })

  test('says that waiting is in vain where a call asks for more than there ever is', () => {
    const node = new Lone([rule({ amount: 10 })], { nodes: 1 })
    assert.equal(refused(node.call(payer(), cost(11), at)).never, true)
  })

  test('before the nodes agreed lasts for a second, and the meter knows that waiting helps', () => {
    const node = new Lone([rule({ measure: 'requests', amount: 100 })])
    const first = refused(node.meter.reserve(payer(), cost(0), at))
    assert.deepEqual([first.retryMs, first.never], [1_000, false])
    assert.equal(node.meter.pending(payer(), cost(0), at).length, 1)
    node.talk(at)
    assert.equal(node.meter.pending(payer(), cost(0), at).length, 0)
    assert.equal(node.meter.reserve(payer(), cost(0), at).ok, true)
  })

  test('reads the same whatever limit it is', () => {
    const words = [rule({ amount: 1 }), rule({ measure: 'requests', amount: 1, over: 'everyone' })].map((limit) => {
      const node = new Lone([limit], { nodes: 1 })
      node.call(payer(), cost(1), at)
      return refused(node.call(payer(), cost(1), at)).message
    })
    assert.equal(words[0], words[1])
  })
})

test('a starter serves the first calls before anything was granted, and is no more than a part of the hundredth kept for it', () => {
  const { meter } = new Lone([rule({ amount: 1_000 })])
  // 1,000 × 1 % / 4 nodes.
  assert.equal(meter.reserve(payer(), cost(2.5), at).ok, true)
  refused(meter.reserve(payer(), cost(0.1), at))
})

test('a window too short to be agreed on is split evenly among nodes', () => {
  const { meter } = new Lone([rule({ measure: 'requests', amount: 10, windowMs: 1_000 })])
  const served = Array.from({ length: 10 }, () => meter.reserve(payer(), cost(0), at).ok).filter(Boolean)
  // Two and a half, and half a request is none.
  assert.equal(served.length, 2)
  assert.equal(meter.reserve(payer(), cost(0), at + 1_000).ok, true)
})

test('a burst may be taken at once, and comes back evenly', () => {
  const node = new Lone([rule({ measure: 'requests', amount: 3_600, burst: 2 })], { nodes: 1 })
  for (const _ of [1, 2]) assert.equal(node.call(payer(), cost(0), at).ok, true)
  // One each second.
  const { retryMs } = refused(node.call(payer(), cost(0), at))
  assert.equal(retryMs, 1_000)
  refused(node.call(payer(), cost(0), at + 999))
  assert.equal(node.call(payer(), cost(0), at + 1_000).ok, true)
})

describe('adaptive limits', () => {
  const adaptive = { risk: [{ from: 0.7, factor: 0.5 }], failures: { count: 2, windowMs: 60_000, factor: 0.1 } }

  test('hold at all nodes: the allocator grants no more than the lowered amount', () => {
    const node = new Lone([rule({ amount: 100, adaptive })], { nodes: 1 })
    const risky = payer({ risk: 0.9 })
    let spent = 0
    for (let i = 0; i < 100; i++) if (node.call(risky, cost(1), at).ok) spent++
    assert.equal(spent, 50)
    // The same principal without the risk may go on.
    assert.equal(node.call(payer(), cost(1), at).ok, true)
  })

  test('failures lower the amount for a while', () => {
    const node = new Lone([rule({ amount: 100, adaptive })], { nodes: 1 })
    node.meter.failed('alice', at)
    assert.equal(node.call(payer(), cost(20), at).ok, true)
    node.meter.failed('alice', at)
    refused(node.call(payer(), cost(1), at))
    assert.equal(node.call(payer(), cost(1), at + 60_000).ok, true)
  })
})

describe('while nobody answers', () => {
  const limits = [rule({ amount: 1_000 })]

  test('a node spends what it was granted, then refuses', () => {
    const node = new Lone(limits)
    node.call(payer(), cost(10), at)
    node.meter.away = true
    let spent = 10
    while (node.meter.reserve(payer(), cost(1), at).ok) spent++
    assert.ok(spent < 100, `${spent} of 1,000`)
    assert.equal(node.meter.reserve(payer(), cost(1), at).ok, false)
  })

  test('or goes on as if it were alone, up to the whole ceiling', () => {
    const node = new Lone(limits, { whenAway: 'local' })
    node.meter.away = true
    let spent = 0
    while (node.meter.reserve(payer(), cost(1), at).ok) spent++
    assert.equal(spent, 1_000)
  })
})

describe('with more payers than it holds', () => {
  test('a meter stays within its bound', () => {
    const node = new Lone([rule({ amount: 1_000 })], { maxAccounts: 50 })
    for (let i = 0; i < 500; i++) node.call(payer({ principal: `p${i}` }), cost(1), at + i)
    assert.equal(node.meter.size, 50)
  })

  for (const limit of [rule({ amount: 100 }), rule({ amount: 100, windowMs: 20_000 })]) {
    test(`who was forgotten gets no fresh allowance within its window of ${(limit.windowMs ?? 0) / 1_000} s`, () => {
      const node = new Lone([limit], { nodes: 1, maxAccounts: 1 })
      let spent = 0
      for (let i = 0; i < 100; i++) {
        if (node.call(payer(), cost(5), at + i).ok) spent += 5
        // There is room for one, so this one's calls make the meter forget the other.
        node.call(payer({ principal: 'bob' }), cost(0.01), at + i)
      }
      assert.ok(spent <= 100, `${spent} of 100`)
    })
  }
})
