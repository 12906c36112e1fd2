import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EndpointCount } from '../../inference/port.ts'
import { Heartbeat } from '../../schemas/index.ts'
import { openFixture, TinyRuntime } from './node-fixture.ts'

/** Pools `a` and `b` of two endpoints each. */
class BehindRuntime extends TinyRuntime {
  readonly healthy = new Map([
    ['a', 2],
    ['b', 2],
  ])

  override ready(pool = ''): boolean {
    return (this.healthy.get(pool) ?? 2) > 0
  }

  endpoints(pool: string): EndpointCount {
    return { healthy: this.healthy.get(pool) ?? 2, all: 2 }
  }
}

test('a heartbeat tells of pools that are away or reduced, and the address that needs no key does not', async (t) => {
  const runtime = new BehindRuntime()
  const fixture = await openFixture({ runtime })
  t.after(() => fixture.close())
  const about = () => {
    const { ok, summary, detail } = fixture.node.pulse()
    return [ok, summary, detail['pools']]
  }
  const pool = (name: string, healthy: number) => ({ name, ready: healthy > 0, depth: 0, endpoints: { healthy, all: 2 } })
  assert.deepEqual(about(), [true, 'answering with test', [pool('a', 2), pool('b', 2)]])
  runtime.healthy.set('b', 1)
  assert.deepEqual(about(), [true, 'answering with test; pool b is reduced (1 of 2 endpoints are well)', [pool('a', 2), pool('b', 1)]])
  runtime.healthy.set('b', 0)
  assert.deepEqual(about(), [false, 'answering with test; pool b takes no work (0 of 2 endpoints are well)', [pool('b', 0), pool('a', 2)]])
  const { statusCode, body } = await fixture.node.app.inject('/health')
  assert.deepEqual([statusCode, JSON.parse(body)], [200, { ok: true, summary: 'answering with test' }])
})

test('a heartbeat of a node with very many pools still fits its contract', async (t) => {
  const runtime = new TinyRuntime()
  runtime.ready = () => false
  const pools = Array.from({ length: 256 }, (_, i) => ({ name: `${'p'.repeat(120)}${i}`, models: ['tiny'], concurrency: 1 }))
  const fixture = await openFixture({ runtime, pools })
  t.after(() => fixture.close())
  const { summary, detail } = fixture.node.pulse()
  assert.match(summary, /; 252 more pools are unwell$/)
  assert.equal(Heartbeat.shape.detail.safeParse(detail).success, true)
  assert.equal(Heartbeat.shape.summary.safeParse(summary).success, true)
})
