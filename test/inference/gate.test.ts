import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { RequestCancellation } from '../../inference/cancellation.ts'
import { Gate, type Ticket } from '../../inference/server/gate.ts'
import { Line, type Waiter } from '../../inference/server/line.ts'
import { Refusal } from '../../inference/server/refusal.ts'

interface Asker extends Waiter {
  readonly id: number
}

/** A line of one place that is taken, so that whoever comes waits. */
function fullLine(concurrency = 1, maxWaitMs = 1e9): Line<Asker> {
  const line = new Line<Asker>({ concurrency, maxWaitMs })
  for (let i = 0; i < concurrency; i++) line.take(() => 0)
  return line
}

function ask(line: Line<Asker>, principal: string, items = 1, now = 0, id = 0) {
  return line.enter(principal, items, now, (start) => ({ principal, items, since: now, start, id }))
}

function served(line: Line<Asker>, times: number): string {
  return Array.from({ length: times }, () => line.leave(0)?.principal ?? '-').join('')
}

test('principals take turns, however many of their requests wait', () => {
  const line = fullLine()
  for (let i = 0; i < 4; i++) ask(line, 'a')
  ask(line, 'b')
  ask(line, 'c')
  assert.equal(served(line, 7), 'abcaaa-')
})

test('turns are counted in items: two requests of one item each pass while one of two runs', () => {
  const line = fullLine()
  for (let i = 0; i < 3; i++) ask(line, 'a', 2)
  for (let i = 0; i < 6; i++) ask(line, 'b', 1)
  // Start tags: a 0 2 4, b 0 1 2 3 4 5; the first come goes first where they are equal.
  assert.equal(served(line, 9), 'abbabbabb')
})

test('whoever comes later does not stand behind what others had queued before', () => {
  const line = fullLine()
  for (let i = 0; i < 100; i++) ask(line, 'a')
  assert.equal(served(line, 50), 'a'.repeat(50))
  ask(line, 'b')
  assert.match(served(line, 2), /b/)
})

test('a wait that would be too long is refused at once, with how long it would be', () => {
  const line = fullLine(1, 250)
  // One completion each 100 ms.
  for (let i = 0; i < 3; i++) assert.ok(typeof ask(line, 'a') === 'object')
  assert.equal(line.leave(100)?.principal, 'a')
  assert.equal(line.leave(200)?.principal, 'a')
  // One waits ahead, and the one that runs: 2 · 100 ms.
  assert.equal(line.wait('a', 200), 200)
  assert.ok('waits' in (ask(line, 'a', 1, 200) as object))
  assert.deepEqual(ask(line, 'a', 1, 200), { refusedFor: 300 })
  // Another principal stands before the second of those two.
  assert.ok(line.wait('b', 200) < 300)
})

test('a pool that stands still is as slow as it stands', () => {
  const line = fullLine(1, 1_000)
  ask(line, 'a')
  line.leave(10)
  assert.deepEqual(ask(line, 'b', 1, 5_000), { refusedFor: 4_990 })
})

const steps = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant('enter' as const), who: fc.nat({ max: 4 }), items: fc.integer({ min: 1, max: 8 }) }),
    fc.record({ do: fc.constant('leave' as const), who: fc.nat(), items: fc.constant(0) }),
    fc.record({ do: fc.constant('cancel' as const), who: fc.nat({ max: 50 }), items: fc.constant(0) }),
  ),
  { maxLength: 200 },
)

test('nobody waits while a place is free, counts are what they are, and who is cancelled leaves no hole', () => {
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 4 }), (steps, concurrency) => {
      const line = new Line<Asker>({ concurrency, maxWaitMs: 1e9 })
      const waiting = new Set<Asker>()
      let running = 0
      for (const [now, { do: what, who, items }] of steps.entries()) {
        if (what === 'enter') {
          const entry = ask(line, `p${who}`, items, now, now)
          if (entry === 'runs') running++
          else if ('waits' in entry) waiting.add(entry.waits)
          else assert.fail('nothing is too long here')
        } else if (what === 'leave' && running > 0) {
          const next = line.leave(now)
          if (next === undefined) running--
          else assert.ok(waiting.delete(next), 'it did wait, and was let in once')
        } else if (what === 'cancel') {
          const one = [...waiting][who]
          if (one === undefined) continue
          waiting.delete(one)
          assert.ok(line.remove(one) && !line.remove(one))
        }
        assert.deepEqual([line.running, line.waiting], [running, waiting.size])
        assert.ok(running <= concurrency && (waiting.size === 0 || running === concurrency), 'work conserving')
      }
      // No starvation: so many completions as there are waiting serve all of them.
      for (let left = waiting.size; left > 0; left--) assert.ok(waiting.delete(line.leave(0) as Asker))
      assert.equal(line.waiting, 0)
    }),
    { seed: 1, numRuns: 500 },
  )
})

test('two principals that both wait are never further apart than their two largest requests', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 16 }), { minLength: 40, maxLength: 40 })
  fc.assert(
    fc.property(fc.array(sizes, { minLength: 2, maxLength: 5 }), fc.nat({ max: 20 }), (principals, head) => {
      const line = fullLine()
      // The first has a head start: its requests before the others came count against nobody.
      const first = principals[0] ?? []
      for (const items of first) ask(line, 'p0', items)
      for (let i = 0; i < head; i++) line.leave(0)
      for (const [who, requests] of principals.slice(1).entries()) for (const items of requests) ask(line, `p${who + 1}`, items)
      const got = new Map<string, number>()
      for (;;) {
        const next = line.leave(0)
        if (next === undefined) break
        got.set(next.principal, (got.get(next.principal) ?? 0) + next.items)
        if (principals.some((_, who) => line.waitingOf(`p${who}`) === 0)) break
        const shares = principals.map((_, who) => got.get(`p${who}`) ?? 0)
        assert.ok(Math.max(...shares) - Math.min(...shares) <= 32, shares.join(' '))
      }
    }),
    { seed: 2, numRuns: 300 },
  )
})

/** A gate by hand: the time stands still until it is set, and nobody looks unless told. */
function openGate(options: { concurrency?: number; maxQueueMs?: number; maxWaiting?: number } = {}) {
  const clock = { now: 0 }
  const { concurrency = 1, ...rest } = options
  const watch = { add: () => {}, delete: () => {} }
  return { clock, gate: new Gate({ pools: [{ name: 'a', concurrency }], now: () => clock.now, watch, ...rest }) }
}
const patient = () => {
  const cancellation = new RequestCancellation(Number.MAX_SAFE_INTEGER)
  cancellation.watched()
  return cancellation
}
const refused = (seconds: string) => (error: unknown) =>
  error instanceof Refusal && error.code === 'OVERLOADED' && error.details.headers?.['retry-after'] === seconds

test('with room there is no promise, and no ticket of its own', () => {
  const { gate } = openGate({ concurrency: 2 })
  const one = gate.enter('a', 'p', patient())
  assert.ok(!(one instanceof Promise))
  assert.equal(gate.enter('a', 'q', patient()), one)
  assert.ok(gate.enter('a', 'r', patient()) instanceof Promise)
})

test('a place that is given back goes to who waits', async () => {
  const { gate } = openGate()
  const ticket = gate.enter('a', 'p', patient()) as Ticket
  const next = gate.enter('a', 'q', patient())
  assert.deepEqual([gate.running('a'), gate.waiting('a')], [1, 1])
  ticket.leave()
  ;(await next).leave()
  assert.deepEqual([gate.running('a'), gate.waiting('a')], [0, 0])
})

test('who has waited for as long as anyone may is refused, and so is who is cancelled', async () => {
  const { gate, clock } = openGate({ maxQueueMs: 100 })
  gate.enter('a', 'p', patient())
  const cancellation = patient()
  const [late, gone] = [gate.enter('a', 'q', patient()), gate.enter('a', 'r', cancellation)]
  cancellation.abort()
  await assert.rejects(async () => gone, refused('1'))
  clock.now = 99
  gate.look(99)
  assert.equal(gate.waiting('a'), 1)
  gate.look(100)
  await assert.rejects(async () => late, refused('1'))
  assert.deepEqual([gate.running('a'), gate.waiting('a')], [1, 0])
})

test('Retry-After is the wait that was predicted', async () => {
  const { gate, clock } = openGate({ maxQueueMs: 10_000 })
  const ticket = gate.enter('a', 'p', patient()) as Ticket
  const waiting = [gate.enter('a', 'p', patient()), gate.enter('a', 'p', patient())]
  clock.now = 6_000
  ticket.leave()
  await waiting[0]
  // One runs and one waits ahead, 6 s each.
  assert.throws(() => gate.enter('a', 'p', patient()), refused('12'))
})

test('when all room to wait is taken, the greediest gives way to a quiet one, and to nobody as greedy', async () => {
  const { gate } = openGate({ maxWaiting: 4 })
  gate.enter('a', 'x', patient())
  // Two of them are refused before anyone asks.
  const greedy = Array.from({ length: 4 }, async () => gate.enter('a', 'greedy', patient()))
  const outcomes = Promise.allSettled(greedy.slice(2))
  assert.throws(() => gate.enter('a', 'greedy', patient()), refused('1'))
  gate.enter('a', 'quiet', patient())
  assert.equal(gate.waiting('a'), 4)
  gate.enter('a', 'quiet', patient())
  assert.deepEqual(
    (await outcomes).map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  // Two and two: a third of either would be the greedier.
  assert.throws(() => gate.enter('a', 'quiet', patient()), refused('1'))
  // But a third has none yet, and the last of one of the two makes room.
  void Promise.allSettled([greedy[0], greedy[1]])
  gate.enter('a', 'third', patient())
  assert.equal(gate.waiting('a'), 4)
})

test('a pool that is not there is not let in to', () => {
  assert.throws(() => openGate().gate.enter('b', 'p', patient()), refused('1'))
})
