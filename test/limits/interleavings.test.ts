import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Ledger } from '../../limits/ledger.ts'
import { SharedMeter } from '../../limits/meter.ts'
import type { Reservation } from '../../limits/port.ts'
import type { Share, Spending } from '../../schemas/index.ts'
import { payer, rule } from './payers.ts'

const start = Date.UTC(2026, 10, 22, 13)
const ceiling = 100
const expected = 4
const starter = (ceiling * 0.01) / expected
const limit = rule({ amount: ceiling })
const rules = [limit]

type Held = Extract<Reservation, { ok: true }>

/** Nodes, an allocator, and every message that was ever sent: each may arrive at any time, more than once, or never. */
class World {
  readonly meters: SharedMeter[] = []
  readonly #reports: Spending[] = []
  readonly #shares: Share[] = []
  readonly #log = new Map<string, Share>()
  readonly #held: { readonly held: Held; readonly amount: number }[] = []
  #ledger = new Ledger({ rules, nodes: expected })
  #instances = 0
  /** Of these, who began before anything of the bucket was on the log: each has a starter. */
  #starters = 0
  #now = start
  spent = 0
  excess = 0

  constructor(nodes: number) {
    for (let i = 0; i < nodes; i++) this.meters.push(this.#begin())
  }

  get starters(): number {
    return this.#starters
  }

  #begin(): SharedMeter {
    const meter = new SharedMeter({ rules, instance: `n~${this.#instances++}`, nodes: expected, whenAway: 'refuse', maxAccounts: 3 })
    for (const bucket of this.#log.keys()) meter.note(bucket)
    if (![...this.#log.keys()].some((bucket) => bucket.includes('|p0|'))) this.#starters++
    return meter
  }

  reserve(node: number, amount: number, who: number): void {
    const reservation = this.#meter(node).reserve(payer({ principal: `p${who}` }), { requests: 1, tokens: 0, cost: amount }, this.#now)
    if (!reservation.ok || who !== 0) return
    this.spent += amount
    this.#held.push({ held: reservation, amount })
  }

  settle(which: number, part: number): void {
    const [one] = this.#held.splice(which % Math.max(1, this.#held.length), 1)
    if (one === undefined) return
    const used = one.amount * part
    one.held.settle({ requests: 1, tokens: 0, cost: used }, this.#now)
    this.spent += used - one.amount
    this.excess += Math.max(0, used - one.amount)
  }

  report(node: number): void {
    const lines = [...this.#meter(node).report(this.#now)]
    if (lines.length > 0) this.#reports.push({ node: `n${node}`, at: this.#now, lines })
  }

  grant(which: number): void {
    const report = newest(this.#reports, which)
    if (report === undefined) return
    for (const bucket of this.#ledger.take(report, this.#now)) {
      const share = this.#ledger.share(bucket)
      if (share === undefined) continue
      this.#shares.push(share)
      this.#log.set(bucket, share)
    }
  }

  hear(node: number, which: number): void {
    const share = newest(this.#shares, which)
    if (share !== undefined) this.#meter(node).hear(share)
  }

  /** All goes well for once: what is asked is answered, to several in turn, before they spend it. */
  talk(node: number): void {
    this.#now = Math.min(this.#now + 1_001, start + 3_599_999)
    for (const each of [node, node + 1]) {
      this.reserve(each, 15, 0)
      this.report(each)
      this.grant(0)
    }
    for (const each of [node, node + 1]) for (const back of [0, 1, 2]) this.hear(each, back)
    for (const each of [node, node + 1]) for (let i = 0; i < 3; i++) this.reserve(each, 5, 0)
  }

  crash(node: number): void {
    this.meters[node % this.meters.length] = this.#begin()
  }

  restart(): void {
    this.#ledger = new Ledger({ rules, nodes: expected })
    for (const share of this.#log.values()) this.#ledger.learn(share)
  }

  pass(ms: number): void {
    this.#now = Math.min(this.#now + ms, start + 3_599_999)
  }

  /** In the next window, with one node that is answered: what can be spent. */
  afterwards(): number {
    this.#now = start + 3_600_000
    let spent = 0
    for (let i = 0; i < 3_000; i++) {
      this.#now += 100
      const meter = this.#meter(0)
      if (meter.reserve(payer({ principal: 'p0' }), { requests: 1, tokens: 0, cost: 0.1 }, this.#now).ok) spent += 0.1
      const lines = [...meter.report(this.#now)]
      for (const bucket of this.#ledger.take({ node: 'n0', at: this.#now, lines }, this.#now)) {
        const share = this.#ledger.share(bucket)
        if (share !== undefined) meter.hear(share)
      }
    }
    return spent
  }

  #meter(node: number): SharedMeter {
    const meter = this.meters[node % this.meters.length]
    if (meter === undefined) throw new RangeError('there is no node')
    return meter
  }
}

/** 0 is the newest. */
function newest<T>(all: readonly T[], which: number): T | undefined {
  return all[all.length - 1 - (which % Math.max(1, all.length))]
}

/** Mostly the newest few, now and then any. */
const which = fc.oneof({ weight: 4, arbitrary: fc.nat({ max: 5 }) }, { weight: 1, arbitrary: fc.nat({ max: 1_000 }) })
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(
        which,
        fc.oneof(fc.double({ min: 0.05, max: 1, noNaN: true }), fc.double({ min: 1, max: 30, noNaN: true })),
        fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4),
      )
      .map(([node, amount, who]) => ['reserve', (w: World) => w.reserve(node, amount, who)] as const),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(which, fc.constantFrom(0, 0.2, 0.9, 1, 1, 1, 1.2))
      .map(([n, part]) => ['settle', (w: World) => w.settle(n, part)] as const),
  },
  { weight: 5, arbitrary: which.map((node) => ['report', (w: World) => w.report(node)] as const) },
  { weight: 5, arbitrary: which.map((n) => ['grant', (w: World) => w.grant(n)] as const) },
  { weight: 6, arbitrary: fc.tuple(which, which).map(([node, n]) => ['hear', (w: World) => w.hear(node, n)] as const) },
  { weight: 6, arbitrary: which.map((node) => ['talk', (w: World) => w.talk(node)] as const) },
  { weight: 1, arbitrary: which.map((node) => ['crash', (w: World) => w.crash(node)] as const) },
  { weight: 1, arbitrary: fc.constant(['restart', (w: World) => w.restart()] as const) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 7_000 }).map((ms) => ['pass', (w: World) => w.pass(ms)] as const) },
)

test('whatever is late, repeated, reordered, lost or crashed, no more is spent than the ceiling and what is stated', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.array(step, { minLength: 150, maxLength: 300, size: 'max' }), (nodes, steps) => {
      const world = new World(nodes)
      for (const [, run] of steps) {
        run(world)
        // Beyond the nodes that are expected, each process that begins before anybody said anything may spend a starter; and a call
        // may take more than it said.
        const stated = world.excess + starter * Math.max(0, world.starters - expected)
        assert.ok(world.spent <= ceiling + stated + 1e-6, `${world.spent} spent, of ${ceiling} and ${stated}`)
      }
    }),
    { numRuns: 1_500, seed: 7 },
  )
})

test('and nothing is lost for ever: the next window has its whole amount again', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.array(step, { minLength: 20, maxLength: 100 }), (nodes, steps) => {
      const world = new World(nodes)
      for (const [, run] of steps) run(world)
      const spent = world.afterwards()
      assert.ok(spent > ceiling * 0.98 && spent <= ceiling + 1e-6, `${spent} of ${ceiling}`)
    }),
    { numRuns: 20, seed: 7 },
  )
})
