import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { pino } from 'pino'
import { createEmbeddedBus } from '../../bus/embedded/bus.ts'
import type { EventBus } from '../../bus/port.ts'
import { openAllocator } from '../../limits/allocator.ts'
import { type NodeMeter, openNodeMeter } from '../../limits/node-meter.ts'
import { Charge } from '../../pipeline/response/charge.ts'
import { snapshotTopic, topics } from '../../schemas/index.ts'
import { payer, rule } from './payers.ts'

const log = pino({ level: 'silent' })
const rules = [rule({ measure: 'requests', amount: 20, calendar: 'month' })]
const one = { requests: 1, tokens: 0, cost: 0.125 }
/** The middle of a month, going on by itself. */
const begun = performance.now()
const clock = () => Date.UTC(2026, 10, 15) + Math.floor(performance.now() - begun)

/** As a node does: ask, wait where waiting helps, ask once more. */
async function call(meter: NodeMeter, principal = 'alice'): Promise<boolean> {
  const reservation = meter.reserve(payer({ principal }), one, clock())
  if (reservation.ok) return true
  return (await meter.agree?.(payer({ principal }), one, clock()))?.ok ?? false
}

async function served(meter: NodeMeter, calls: number): Promise<number> {
  const answers = await Promise.all(Array.from({ length: calls }, () => call(meter)))
  return answers.filter(Boolean).length
}

describe('over a real bus', () => {
  const dir = mkdtempSync(join(tmpdir(), 'cordon-limits-'))
  let bus: EventBus
  before(async () => {
    bus = await createEmbeddedBus({ path: join(dir, 'log') })
    await bus.ensureTopics([...Object.values(topics), snapshotTopic].map((topic) => ({ ...topic })))
  })
  after(async () => {
    await bus.close()
    rmSync(dir, { recursive: true, force: true })
  })

  async function respond(holder: string, shared = rules) {
    const charge = await Charge.open({ bus, clock, holder, log })
    const allocator = await openAllocator({ bus, charge, rules: shared, nodes: 2, clock, log, source: holder })
    await charge.take()
    return {
      allocator,
      async close() {
        await allocator.close()
        await charge.close()
      },
    }
  }
  const node = (name: string, shared = rules) => openNodeMeter({ bus, rules: shared, node: name, nodes: 2, whenAway: 'refuse', clock, log })

  test('nodes agree on a month’s 20 requests, and those who began anew know what was spent', async () => {
    let inCharge = await respond('first')
    const [a, b] = [await node('a'), await node('b')]
    // The first call of each waits for its share; 12 calls at once wait together.
    assert.equal(await served(a, 12), 12)
    await inCharge.close()
    inCharge = await respond('second')
    assert.equal(inCharge.allocator.buckets(), 1)
    const more = await served(b, 12)
    assert.ok(more <= 8, `${12 + more} of 20 requests`)
    // A process that died had its share; its successor of the same name begins with nothing.
    await a.close()
    const again = await node('a')
    const rest = await served(again, 12)
    assert.ok(12 + more + rest <= 20, `${12 + more + rest} of 20 requests`)
    assert.ok(12 + more + rest >= 18, `${12 + more + rest} of 20 requests`)
    await Promise.all([again.close(), b.close()])
    await inCharge.close()
  })

  test('a process that begins after the ceiling is used up spends nothing more, however often it does', async () => {
    const costs = [rule({ name: 'budget', amount: 100, calendar: 'month' })]
    const inCharge = await respond('third', costs)
    const first = await node('a', costs)
    const spend = async (meter: NodeMeter) => {
      let spent = 0
      while (await call(meter, 'bob')) spent += 0.125
      return spent
    }
    const spent = await spend(first)
    assert.ok(spent > 98 && spent <= 100, `${spent} of 100`)
    for (let life = 0; life < 5; life++) {
      const again = await node('b', costs)
      assert.equal(await spend(again), 0)
      await again.close()
    }
    await first.close()
    await inCharge.close()
  })

  describe('a call that asked while nobody was in charge has not to ask again', () => {
    /** A process that stands by, and a node whose calls wait for longer than they ask. */
    async function standingBy(holder: string) {
      const charge = await Charge.open({ bus, clock, holder, log })
      const allocator = await openAllocator({ bus, charge, rules, nodes: 2, clock, log, source: holder })
      const meter = await openNodeMeter({ bus, rules, node: 'd', nodes: 2, whenAway: 'refuse', clock, log, agreeMs: 60_000 })
      return {
        ...{ charge, allocator },
        /** Resolves when that is on the log; with whether the call is served in the end. */
        async ask(principal: string) {
          const said = Promise.withResolvers<void>()
          const tail = await bus.tail({ topic: 'spending', from: 'end', onRecords: () => said.resolve() })
          assert.equal(meter.reserve(payer({ principal }), one, clock()).ok, false)
          const answer = meter.agree?.(payer({ principal }), one, clock())
          await said.promise
          await tail.close()
          return async () => (await answer)?.ok
        },
        async close() {
          await Promise.all([meter.close(), allocator.close()])
          await charge.close()
        },
      }
    }

    test('once somebody takes it', async () => {
      const { charge, allocator, ask, close } = await standingBy('fourth')
      const before = allocator.buckets()
      const served = await ask('carol')
      assert.equal(allocator.buckets(), before, 'nobody who stands by grants anything')
      await charge.take()
      assert.equal(await served(), true)
      await close()
    })

    test('nor where it was in doubt who is, once the next is heard', async () => {
      const { charge, ask, close } = await standingBy('fifth')
      await charge.take()
      let confirmed = false
      charge.confirmBy(() => confirmed)
      const first = await ask('dora')
      confirmed = true
      const second = await ask('erin')
      assert.deepEqual([await first(), await second()], [true, true])
      await close()
    })
  })

  test('a call does not wait where nobody shares limits out, or where nothing is left', async () => {
    const meter = await openNodeMeter({ bus, rules, node: 'c', nodes: 2, whenAway: 'refuse', clock, log, agreeMs: 20 })
    const reservation = meter.reserve(payer(), one, clock())
    assert.equal(reservation.ok, false)
    // Nobody is in charge: the wait ends.
    assert.equal((await meter.agree?.(payer(), one, clock()))?.ok, false)
    assert.equal(meter.agree?.(payer(), { ...one, requests: 21 }, clock()), undefined)
    await meter.close()
  })
})
