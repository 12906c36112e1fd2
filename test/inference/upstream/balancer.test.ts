import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { Balancer, type BalancerSettings, type EndpointOutcome, type Place } from '../../../inference/upstream/balancer.ts'

const settings: BalancerSettings = {
  maxConnections: 2,
  health: { unhealthyThreshold: 3, healthyThreshold: 2 },
  outlier: { consecutiveFailures: 3, baseEjectionMs: 100, maxEjectionMs: 250, maxEjectionShare: 1 },
}

/** A balancer whose endpoints have all passed their first check. */
function balancer(count: number, change: Partial<BalancerSettings['outlier']> = {}): Balancer {
  const one = new Balancer(count, { ...settings, outlier: { ...settings.outlier, ...change } })
  for (let index = 0; index < count; index++) one.checked(index, true)
  return one
}

function take(one: Balancer, now: number): Place {
  const place = one.take(now)
  if (typeof place === 'string') assert.fail(`no place: ${place}`)
  return place
}

/** One request from beginning to end, at one moment. */
function request(one: Balancer, outcome: EndpointOutcome, now: number): { index: number; change: string | undefined; forMs: number } {
  const place = take(one, now)
  const change = one.report(place, outcome, now)
  one.leave(place)
  return { index: place.index, change: change?.kind, forMs: change?.forMs ?? 0 }
}

test('nothing is sent to an endpoint that was not checked yet, and the first check decides', () => {
  const one = new Balancer(1, settings)
  assert.equal(one.take(0), 'away')
  assert.equal(one.checked(0, true)?.kind, 'healthy')
  assert.equal(take(one, 0).index, 0)
})

test('checks: three failures in a row take an endpoint out, two successes in a row bring it back', () => {
  const one = balancer(1)
  const rows = [
    [false, undefined],
    [false, undefined],
    [true, undefined],
    [false, undefined],
    [false, undefined],
    [false, 'unhealthy'],
    [false, undefined],
    [true, undefined],
    [false, undefined],
    [true, undefined],
    [true, 'healthy'],
  ] as const
  for (const [at, [well, change]] of rows.entries()) assert.equal(one.checked(0, well)?.kind, change, `check ${at}`)
})

test('the endpoint with the fewest requests is chosen, equal ones take turns, and the most connections are kept', () => {
  const one = balancer(2)
  const first = take(one, 0)
  const second = take(one, 0)
  assert.notEqual(first.index, second.index)
  take(one, 0)
  take(one, 0)
  assert.equal(one.take(0), 'full')
  one.leave(second)
  assert.equal(take(one, 0).index, second.index)
})

test('an endpoint that was tried is not taken again', () => {
  const one = balancer(2)
  assert.equal((one.take(0, new Set([0])) as Place).index, 1)
  assert.equal((one.take(0, new Set([0])) as Place).index, 1)
  assert.equal(one.take(0, new Set([0])), 'full')
  assert.equal(one.take(0, new Set([0, 1])), 'away')
})

test('ejection: after three failures in a row, for longer each time, with one probe at its end', () => {
  const one = balancer(1)
  request(one, 'unreachable', 0)
  request(one, 'unreachable', 0)
  request(one, 'success', 0)
  request(one, 'unreachable', 0)
  request(one, 'unreachable', 0)
  assert.deepEqual(request(one, 'unreachable', 0), { index: 0, change: 'ejected', forMs: 100 })
  assert.equal(one.take(99), 'away')
  assert.equal(one.nextMs(99), 1)
  const probe = take(one, 100)
  assert.ok(probe.probe)
  assert.equal(one.take(100), 'away')
  assert.deepEqual(one.report(probe, 'failure', 110), { index: 0, kind: 'ejected', forMs: 200 })
  one.leave(probe)
  assert.equal(one.take(309), 'away')
  assert.deepEqual(request(one, 'unreachable', 310), { index: 0, change: 'ejected', forMs: 250 })
  assert.deepEqual(request(one, 'success', 560), { index: 0, change: 'back', forMs: 0 })
})

test('times ejected are forgotten one by one, each base ejection time that it does well', () => {
  for (const [wellFor, forMs] of [
    [0, 250],
    [99, 250],
    [100, 200],
    [200, 100],
    [10_000, 100],
  ] as const) {
    const one = balancer(1)
    for (let i = 0; i < 3; i++) request(one, 'unreachable', 0)
    request(one, 'unreachable', 100)
    request(one, 'success', 300)
    let last = request(one, 'unreachable', 300 + wellFor)
    for (let i = 0; i < 2; i++) last = request(one, 'unreachable', 300 + wellFor)
    assert.deepEqual(last, { index: 0, change: 'ejected', forMs }, `well for ${wellFor}`)
  }
})

test('a probe that says nothing leaves the next request to be the probe; one whose answer begins is enough', () => {
  const one = balancer(1)
  for (let i = 0; i < 3; i++) request(one, 'unreachable', 0)
  assert.equal(request(one, 'neutral', 100).change, undefined)
  const probe = take(one, 100)
  assert.ok(probe.probe)
  assert.equal(one.answered(probe, 101)?.kind, 'back')
  assert.equal(take(one, 101).probe, false)
})

test('a request that began before the ejection neither lengthens nor ends it', () => {
  const one = balancer(1, { consecutiveFailures: 1 })
  const before = take(one, 0)
  request(one, 'unreachable', 0)
  assert.equal(one.report(before, 'unreachable', 50), undefined)
  one.leave(before)
  const probe = take(one, 100)
  assert.equal(one.report(before, 'success', 100), undefined)
  assert.equal(one.take(100), 'away')
  assert.equal(one.report(probe, 'success', 100)?.kind, 'back')
})

test('what a client can provoke never ejects the last endpoint; what it cannot does', () => {
  const one = balancer(2)
  const ejected = new Set<number>()
  for (let i = 0; i < 20; i++) {
    const { index, change } = request(one, 'failure', 0)
    if (change === 'ejected') ejected.add(index)
  }
  assert.equal(ejected.size, 1)
  assert.equal(one.available(0), 1)
  assert.equal(request(one, 'unreachable', 0).change, 'ejected')
  assert.equal(one.available(0), 0)
})

test('no more than the share of the endpoints is ejected', () => {
  for (const [share, left] of [
    [0, 4],
    [0.25, 3],
    [0.5, 2],
    [0.74, 2],
    [1, 0],
  ] as const) {
    const one = balancer(4, { maxEjectionShare: share })
    for (let i = 0; i < 40; i++) {
      const place = one.take(0)
      if (typeof place === 'string') break
      one.report(place, 'unreachable', 0)
      one.leave(place)
    }
    assert.equal(one.available(0), left, `share ${share}`)
  }
})

test('whatever happens, in whatever order: no endpoint has more than its connections, and every one comes back', () => {
  const step = fc.record({
    what: fc.constantFrom('take', 'success', 'failure', 'unreachable', 'neutral', 'check well', 'check ill', 'wait'),
    which: fc.nat(7),
  })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.array(step, { maxLength: 120 }), (count, steps) => {
      const one = balancer(count)
      const places: Place[] = []
      let now = 0
      for (const { what, which } of steps) {
        if (what === 'wait') now += which * 30
        else if (what === 'take') {
          const place = one.take(now)
          if (typeof place !== 'string') places.push(place)
        } else if (what === 'check well' || what === 'check ill') one.checked(which % count, what === 'check well')
        else {
          const [place] = places.splice(which % Math.max(1, places.length), 1)
          if (place === undefined) continue
          one.report(place, what as EndpointOutcome, now)
          one.leave(place)
        }
        for (let index = 0; index < count; index++) {
          assert.ok(places.filter((place) => place.index === index).length <= settings.maxConnections)
        }
      }
      for (const place of places) one.leave(place)
      for (let i = 0; i < count * 2; i++) one.checked(i % count, true)
      assert.equal(one.available(now + settings.outlier.maxEjectionMs), count)
    }),
    { seed: 7, numRuns: 500 },
  )
})
