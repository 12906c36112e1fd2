import assert from 'node:assert/strict'
import { afterEach, describe, test } from 'node:test'
import { pino } from 'pino'
import type { ControlLost } from '../../inference/server/freshness.ts'
import { type Fixture, inferBody, openFixture, start } from './node-fixture.ts'

const boundMs = 5_000
const lines: string[] = []
const log = pino({ level: 'warn' }, { write: (line) => lines.push((JSON.parse(line) as { msg: string }).msg) })

let fixture: Fixture
let alice: Record<string, string>

async function open(lost: ControlLost): Promise<void> {
  lines.length = 0
  fixture = await openFixture({ control: { boundMs, lost }, log })
  const { key } = await fixture.keys.create({ principal: 'alice' })
  alice = { authorization: `Bearer ${key}` }
  await fixture.contain('principal:alice', 'deny-principal', {}, { until: start + 600_000 })
}
afterEach(() => fixture.close())

const infer = (headers = alice) => fixture.node.app.inject({ method: 'POST', url: '/v2/models/tiny/infer', headers, payload: inferBody() })
const statusOf = async (headers = alice) => (await infer(headers)).statusCode
const get = (url: string) => fixture.node.app.inject({ url })
const stranger = { authorization: `Bearer cordon_000000000000_${'a'.repeat(43)}` }

describe('control topics that cannot be read', () => {
  test('within the bound nothing changes', async () => {
    await open('fail-closed')
    fixture.bus.staleMs = boundMs
    assert.equal(await statusOf(), 403)
    assert.equal((await get('/v2/health/ready')).statusCode, 200)
    assert.equal(fixture.node.pulse().ok, true)
    assert.deepEqual(lines, [])
  })

  test('fail-open: no containment is enforced, keys still are', async () => {
    await open('fail-open')
    await fixture.contain('pool:a', 'quarantine-pool')
    await fixture.contain('pool:b', 'quarantine-pool')
    await fixture.contain('model:tiny', 'rollback-model', { version: '1' })
    fixture.bus.staleMs = boundMs + 1
    const reply = await infer()
    assert.equal(reply.statusCode, 200)
    assert.equal(reply.json<{ model_version: string }>().model_version, '2')
    assert.equal(await statusOf(stranger), 401)
    assert.equal((await get('/v2/health/ready')).statusCode, 200)
    assert.doesNotMatch(await fixture.registry.metrics(), /cordon_leases_active\{/)
    fixture.bus.staleMs = 0
    assert.equal(await statusOf(), 403)
  })

  test('last-known: what is known is enforced, and ends at its expiry', async () => {
    await open('last-known')
    fixture.bus.staleMs = boundMs + 1
    assert.equal(await statusOf(), 403)
    assert.equal((await get('/v2/health/ready')).statusCode, 200)
    fixture.clock.now = start + 600_000
    assert.equal(await statusOf(), 200)
  })

  test('fail-closed: everyone reads that there is no capacity, and nothing else', async () => {
    await open('fail-closed')
    const bob = { authorization: `Bearer ${(await fixture.keys.create({ principal: 'bob' })).key}` }
    assert.equal(await statusOf(bob), 200)
    fixture.bus.staleMs = boundMs + 1
    const replies = [await infer(), await infer(bob), await infer(stranger), await infer({} as never)]
    for (const reply of replies) {
      assert.equal(reply.statusCode, 503)
      assert.match(String(reply.headers['content-type']), /^application\/problem\+json/)
      assert.equal(reply.headers['retry-after'], '5')
      assert.equal(reply.json<{ type: string }>().type, 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity')
      assert.equal(reply.body, replies[0]?.body, 'whoever asks')
      assert.doesNotMatch(reply.body, /control|stale|closed|contain|unread|topic/i)
    }
    assert.equal((await get('/v2/health/ready')).statusCode, 503)
    assert.equal((await get('/health')).statusCode, 503)
    const events = (await fixture.eventsOf('requests')).slice(1)
    assert.deepEqual(
      events.map(({ principal, outcome, status, lease }) => [principal, outcome, status, lease]),
      [
        ['alice', 'overloaded', 503, null],
        ['bob', 'overloaded', 503, null],
        ['anonymous', 'overloaded', 503, null],
        ['anonymous', 'overloaded', 503, null],
      ],
    )
    fixture.bus.staleMs = 0
    assert.equal(await statusOf(bob), 200)
    assert.equal((await get('/health')).statusCode, 200)
  })

  test('is said once when it begins and once when it is over, with since when', async () => {
    await open('fail-open')
    fixture.clock.now = start + 60_000
    fixture.bus.staleMs = 6_000
    for (let i = 0; i < 3; i++) await infer()
    assert.deepEqual(lines, ['node: containments, keys and models cannot be read; enforcing no containment (fail-open)'])
    const { ok, summary, controlStaleMs, detail } = fixture.node.pulse()
    assert.deepEqual([ok, controlStaleMs, detail.controlLost, detail.controlUnknownSince], [false, 6_000, 'fail-open', start + 54_000])
    // start is 2027-01-15T08:00:00Z.
    assert.equal(summary, 'answering with test; control topics unread since 2027-01-15T08:00:54.000Z; enforcing no containment (fail-open)')
    assert.match(await fixture.registry.metrics(), /cordon_control_stale_seconds 6/)
    assert.equal(fixture.node.sampleTelemetry().controlStaleMs, 6_000)
    const told = `${(await get('/health')).body}${(await get('/metrics')).body}`
    assert.match(told, /control topics unread since/)
    assert.doesNotMatch(told, /enforcing|fail-open|control_stale/, 'an invitation')
    fixture.bus.staleMs = 10
    for (let i = 0; i < 3; i++) await infer()
    assert.deepEqual(lines.slice(1), ['node: containments, keys and models are known again'])
    assert.equal(fixture.node.pulse().summary, 'answering with test')
  })

  test('a lease that comes while nothing is enforced is acknowledged when it is', async () => {
    await open('fail-open')
    assert.equal((await fixture.eventsOf('acknowledgements')).length, 1)
    fixture.bus.staleMs = boundMs + 1
    await infer()
    const held = await fixture.contain('principal:bob', 'deny-principal', {}, { until: start + 600_000 })
    await fixture.contain('principal:carol', 'deny-principal', {}, { until: start + 1_000 })
    assert.equal((await fixture.eventsOf('acknowledgements')).length, 1)
    fixture.bus.staleMs = 0
    fixture.clock.now = start + 2_000
    await infer()
    // Decided 20 ms before `start`; the other one is over.
    assert.deepEqual((await fixture.eventsOf('acknowledgements')).slice(1), [
      { lease: held.id, revision: 0, node: 'node-1', at: start + 2_000, enforcedAfterMs: 2_020 },
    ])
  })

  test('a node that begins without having read anything follows its mode from the first request on', async () => {
    await open('fail-closed')
    await fixture.close()
    const bus = fixture.bus
    bus.staleMs = Number.POSITIVE_INFINITY
    fixture = await openFixture({ control: { boundMs, lost: 'fail-closed' }, log }, { bus })
    assert.equal(await statusOf(), 503)
    const { controlStaleMs } = fixture.node.sampleTelemetry()
    assert.ok(Number.isFinite(controlStaleMs) && controlStaleMs > boundMs)
    bus.staleMs = 0
    assert.equal(await statusOf(), 403)
  })
})

test('a restarted node acknowledges again what it enforces, without a latency', async () => {
  await open('last-known')
  await fixture.emitter.drain()
  await fixture.close()
  const bus = fixture.bus
  fixture = await openFixture({ name: 'node-2', log }, { bus })
  assert.deepEqual(
    (await fixture.eventsOf('acknowledgements')).map(({ node, revision, enforcedAfterMs }) => [node, revision, enforcedAfterMs]),
    [
      ['node-1', 0, 20],
      ['node-2', 0, null],
    ],
  )
})

test('a node that begins by enforcing nothing acknowledges nothing, until it knows', async () => {
  await open('fail-open')
  await fixture.close()
  const bus = fixture.bus
  bus.staleMs = Number.POSITIVE_INFINITY
  fixture = await openFixture({ name: 'node-2', control: { boundMs, lost: 'fail-open' }, log }, { bus })
  const byNode2 = async () => (await fixture.eventsOf('acknowledgements')).filter(({ node }) => node === 'node-2').length
  assert.equal(await byNode2(), 0)
  assert.equal(await statusOf(), 200)
  bus.staleMs = 0
  assert.equal(await statusOf(), 403)
  assert.equal(await byNode2(), 1)
})

test('telemetry begins with the node, and its last word says that it is the last', async () => {
  await open('last-known')
  await fixture.node.start({ host: '127.0.0.1', port: 0 })
  assert.equal(await statusOf(), 403)
  await fixture.node.close()
  const samples = await fixture.eventsOf('telemetry')
  assert.deepEqual(
    samples.map(({ closing, everyMs, requests }) => [closing, everyMs, requests]),
    [
      [false, 5_000, 0],
      [true, 5_000, 1],
    ],
  )
})
