import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { Counter } from 'prom-client'
import { type Fixture, inferBody, openFixture, start } from './node-fixture.ts'

let fixture: Fixture
let alice: Record<string, string>
let bob: Record<string, string>

beforeEach(async () => {
  fixture = await openFixture()
  alice = await bearerOf('alice')
  bob = await bearerOf('bob')
})
afterEach(() => fixture.close())

async function bearerOf(principal: string): Promise<Record<string, string>> {
  const { key } = await fixture.keys.create({ principal, organization: 'acme' })
  return { authorization: `Bearer ${key}` }
}

const infer = (headers: Record<string, string>, payload: object = inferBody(), url = '/v2/models/tiny/infer') =>
  fixture.node.app.inject({ method: 'POST', url, headers, payload })
const statusOf = async (headers: Record<string, string>, items = 1) => (await infer(headers, inferBody(items))).statusCode
const dataOf = async (headers: Record<string, string>, pixel: number) =>
  (await infer(headers, inferBody(1, pixel))).json<{ outputs: { data: number[] }[] }>().outputs[0]?.data
const lastRequest = async () => (await fixture.eventsOf('requests')).at(-1)

test('a throttled principal is refused on its next request, and told honestly when to come back', async () => {
  assert.equal(await statusOf(alice), 200)
  const lease = await fixture.contain('principal:alice', 'throttle-principal', { requests: 6, windowMs: 60_000 })
  const reply = await infer(alice)
  assert.equal(reply.statusCode, 429)
  // Six a minute: the first comes back after ten seconds.
  assert.equal(reply.headers['retry-after'], '10')
  assert.equal(reply.headers['ratelimit-policy'], '"peruser";q=6;qu="requests";w=60')
  assert.equal(reply.headers.ratelimit, '"peruser";r=0;t=10')
  const problem = reply.json<Record<string, unknown>>()
  assert.equal(problem.type, 'https://iana.org/assignments/http-problem-types#quota-exceeded')
  assert.deepEqual(problem['violated-policies'], ['peruser'])
  assert.doesNotMatch(reply.body, /lease|contain|attack|abnormal|throttle/i)
  assert.equal((await lastRequest())?.lease, lease.id)
  assert.equal((await lastRequest())?.outcome, 'throttled')
  assert.equal(await statusOf(bob), 200, 'others are served')
  fixture.clock.now += 9_999
  assert.equal(await statusOf(alice), 429)
  fixture.clock.now += 1
  assert.equal(await statusOf(alice), 200)
  assert.equal(await statusOf(alice), 429)
})

test('a throttle counts inputs, and counts them across the keys of a principal', async () => {
  const second = await bearerOf('alice')
  await fixture.contain('principal:alice', 'throttle-principal', { requests: 6, windowMs: 60_000 }, { until: start + 600_000 })
  fixture.clock.now += 60_000
  assert.equal(await statusOf(alice, 4), 200)
  assert.equal(await statusOf(second, 4), 429)
  assert.equal(await statusOf(second, 2), 200)
  assert.equal(await statusOf(second), 429)
})

test('more inputs than the quota ever holds: the client is told to split', async () => {
  await fixture.contain('principal:alice', 'throttle-principal', { requests: 6, windowMs: 60_000 }, { until: start + 600_000 })
  fixture.clock.now += 60_000
  const reply = await infer(alice, inferBody(7))
  assert.equal(reply.statusCode, 429)
  assert.match(reply.json<{ error: string }>().error, /send fewer in one request/)
  assert.equal(await statusOf(alice, 6), 200)
})

test('containment and an ordinary quota read the same', async () => {
  await fixture.close()
  fixture = await openFixture({ limits: { ordinary: { requests: 6, windowMs: 60_000 } } })
  alice = await bearerOf('alice')
  bob = await bearerOf('bob')
  for (let i = 0; i < 6; i++) assert.equal((await infer(bob)).headers.ratelimit, `"peruser";r=${5 - i};t=${(i + 1) * 10}`)
  await fixture.contain('principal:alice', 'throttle-principal', { requests: 6, windowMs: 60_000 })
  const [contained, busy] = [await infer(alice), await infer(bob)]
  assert.equal(busy.statusCode, 429)
  assert.equal(contained.body, busy.body)
  const headersOf = ({ headers: { date: _date, ...headers } }: { headers: Record<string, unknown> }) => headers
  assert.deepEqual(headersOf(contained), headersOf(busy))
})

test('a lease ends by the clock, without anyone', async () => {
  await fixture.contain('principal:alice', 'deny-principal')
  const reply = await infer(alice)
  assert.equal(reply.statusCode, 403)
  assert.equal(reply.json<{ error: string }>().error, 'This key may not be used here.')
  assert.equal((await fixture.node.app.inject({ url: '/v2/models/tiny', headers: alice })).statusCode, 403)
  fixture.clock.now += 59_999
  assert.equal(await statusOf(alice), 403)
  fixture.clock.now += 1
  assert.equal(await statusOf(alice), 200)
})

test('a released lease ends at once', async () => {
  await fixture.contain('principal:alice', 'deny-principal')
  assert.equal(await statusOf(alice), 403)
  assert.equal((await fixture.eventsOf('requests')).at(-1)?.denial, 'lease')
  await fixture.contain('principal:alice', 'deny-principal', {}, { state: 'released', endedAt: start, endedBy: 'person:test' })
  assert.equal(await statusOf(alice), 200)
})

test('a lease may be about an organization, a key or a model', async () => {
  const id = fixture.keys.registry.list().find(({ principal }) => principal === 'alice')?.id
  for (const [target, aliceGets, bobGets] of [
    [`key:${id}`, 403, 200],
    ['organization:acme', 403, 403],
  ] as const) {
    await fixture.contain(target, 'deny-principal')
    assert.deepEqual([await statusOf(alice), await statusOf(bob)], [aliceGets, bobGets], target)
    await fixture.contain(target, 'deny-principal', {}, { state: 'released' })
  }
  await fixture.contain('model:tiny', 'harden-output', { level: 'label-only' })
  assert.deepEqual(await dataOf(bob, 0.9), [1, 0, 0])
})

test('hardening: rounded, then label only, the stricter one where several stand', async () => {
  // p = 0.4321: [0.4321, 0.75 × 0.5679 = 0.425925, 0.25 × 0.5679 = 0.141975].
  await fixture.contain('organization:acme', 'harden-output', { level: 'rounded', decimals: 2 })
  assert.deepEqual(await dataOf(alice, 0.4321), [0.43, 0.43, 0.14])
  assert.deepEqual(await dataOf(alice, 0.4321), await dataOf(alice, 0.4321), 'asking again teaches nothing')
  assert.equal((await lastRequest())?.hardening, 'rounded')
  await fixture.contain('principal:alice', 'harden-output', { level: 'label-only' })
  assert.deepEqual(await dataOf(alice, 0.4321), [1, 0, 0])
  const event = await lastRequest()
  assert.equal(event?.hardening, 'label-only')
  assert.equal(event?.lease, 'principal:alice/harden-output')
  assert.deepEqual(await dataOf(bob, 0.4321), [0.43, 0.43, 0.14])
  const [fingerprint] = (await fixture.eventsOf('fingerprints')).slice(-1)
  assert.ok(Math.abs((fingerprint?.output.confidence ?? 0) - 0.4321) < 1e-6, 'fingerprints see what the model said')
})

test('around inputs that are attacked nobody gets more than the limit, and it reads like any other', async () => {
  const place = { requests: 1, windowMs: 60_000, model: 'tiny', profile: 'test', epoch: 0, middle: 'AAAA', radius: 1 }
  await fixture.contain('cluster:far', 'throttle-cluster', { ...place, middle: 'AAEA' })
  await fixture.contain('cluster:other-key', 'throttle-cluster', { ...place, epoch: 1 })
  await fixture.contain('cluster:own', 'throttle-cluster', { ...place, bystanders: 'carol alice bob' })
  await fixture.contain('cluster:other-model', 'throttle-cluster', { ...place, model: 'digits' })
  assert.equal(await statusOf(alice), 200)
  const lease = await fixture.contain('cluster:near', 'throttle-cluster', place)
  const reply = await infer(bob)
  assert.deepEqual([reply.statusCode, await statusOf(alice)], [429, 429], 'whoever asks, the first time too')
  assert.deepEqual([reply.headers['retry-after'], reply.headers['ratelimit-policy']], ['60', '"peruser";q=1;qu="requests";w=60'])
  assert.doesNotMatch(reply.payload, /cluster|near/)
  const event = await lastRequest()
  assert.deepEqual([event?.outcome, event?.lease], ['throttled', lease.id])
  const [fingerprint] = (await fixture.eventsOf('fingerprints')).slice(-1)
  assert.equal(fingerprint?.answered, false, 'it was seen, and not answered')
  fixture.clock.now += 59_000
  await fixture.contain('cluster:near', 'throttle-cluster', { ...place, radius: 2 }, { revision: 1 })
  fixture.clock.now += 1_000
  assert.deepEqual([await statusOf(bob), await statusOf(alice)], [200, 429], 'one answer for all, however the cluster moved')
})

test('a roll back changes what the bare name serves, while it lasts', async () => {
  const versionOf = async (url = '/v2/models/tiny/infer') => {
    const reply = await infer(alice, inferBody(), url)
    return reply.statusCode === 200 ? reply.json<{ model_version: string }>().model_version : reply.statusCode
  }
  const good = (version: string) => ({ version, digest: '', good: true })
  await fixture.setModel({ name: 'tiny', current: '2', versions: [good('1'), good('2')] })
  assert.equal(await versionOf(), '2')
  const lease = await fixture.contain('model:tiny', 'rollback-model', { version: '1' })
  assert.equal(await versionOf(), '1')
  assert.equal(await versionOf('/v2/models/tiny/versions/1/infer'), '1')
  assert.equal(await versionOf('/v2/models/tiny/versions/2/infer'), 403)
  assert.equal((await lastRequest())?.lease, lease.id)
  fixture.clock.now += 60_000
  assert.equal(await versionOf(), '2')
  assert.equal(await versionOf('/v2/models/tiny/versions/2/infer'), '2')
})

test('the current version is that of the models topic', async () => {
  const good = (version: string) => ({ version, digest: '', good: true })
  await fixture.setModel({ name: 'tiny', current: '1', versions: [good('1'), good('2')] })
  assert.equal((await infer(alice)).json<{ model_version: string }>().model_version, '1')
  await fixture.setModel({ name: 'tiny', current: '3', versions: [good('3')] })
  assert.equal(await statusOf(alice), 503, 'a version that is not loaded is no capacity')
})

test('a quarantined pool drains: what runs finishes, new requests go elsewhere, the last one answers 503', async () => {
  const { runtime } = fixture
  const gate = Promise.withResolvers<void>()
  runtime.gate = gate.promise
  const running = [infer(alice), infer(alice)]
  await Promise.resolve()
  while (runtime.ran.length < 2) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(runtime.ran.map(({ pool }) => pool).sort(), ['a', 'b'], 'the least busy pool gets the next request')
  await fixture.contain('pool:a', 'quarantine-pool')
  const more = [infer(alice), infer(alice)]
  while (runtime.ran.length < 4) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(
    runtime.ran.slice(2).map(({ pool }) => pool),
    ['b', 'b'],
  )
  gate.resolve()
  for (const reply of await Promise.all([...running, ...more])) assert.equal(reply.statusCode, 200)
  const lease = await fixture.contain('pool:b', 'quarantine-pool', {}, { until: start + 30_500 })
  const reply = await infer(alice)
  assert.equal(reply.statusCode, 503)
  assert.equal(reply.headers['retry-after'], '31', 'when the first lease ends')
  assert.equal((await fixture.node.app.inject({ url: '/v2/models/tiny/ready', headers: alice })).statusCode, 503)
  const event = (await fixture.eventsOf('requests')).find(({ outcome }) => outcome === 'quarantined')
  assert.equal(event?.lease, lease.id)
  fixture.clock.now = start + 30_500
  assert.equal(await statusOf(alice), 200)
  assert.equal(runtime.ran.at(-1)?.pool, 'b')
})

test('key rotation: the old key works through the overlap and then dies by itself', async () => {
  const [successor = ''] = await fixture.keys.rotate('alice', start + 10_000)
  await fixture.contain('principal:alice', 'rotate-key')
  const claimed = await fixture.keys.claim(successor)
  const fresh = { authorization: `Bearer ${claimed?.key}` }
  assert.deepEqual([await statusOf(alice), await statusOf(fresh)], [200, 200])
  fixture.clock.now = start + 10_000
  assert.deepEqual([await statusOf(alice), await statusOf(fresh)], [401, 200])
})

test('each revision of a lease is acknowledged once, with its latency', async () => {
  const lease = await fixture.contain('principal:alice', 'throttle-principal', { requests: 6, windowMs: 60_000 })
  const about = { lease: lease.id, node: 'node-1', at: start }
  assert.deepEqual(await fixture.eventsOf('acknowledgements'), [{ ...about, revision: 0, enforcedAfterMs: 20 }])
  await fixture.contain('principal:alice', 'throttle-principal', { requests: 6, windowMs: 60_000 }, { decidedAt: null })
  await statusOf(alice)
  const acknowledgements = await fixture.eventsOf('acknowledgements')
  assert.deepEqual(acknowledgements.at(-1), { ...about, revision: 1, enforcedAfterMs: null })
  assert.equal(acknowledgements.length, 2)
})

test('extending a lease gives no new allowance', async () => {
  const quota = { requests: 6, windowMs: 60_000 }
  await fixture.contain('principal:alice', 'throttle-principal', quota)
  fixture.clock.now += 10_000
  assert.equal(await statusOf(alice), 200)
  await fixture.contain('principal:alice', 'throttle-principal', quota, { from: start, until: start + 600_000 })
  assert.equal(await statusOf(alice), 429)
})

test('a lease that a node cannot enforce is not acknowledged, and harms nobody', async () => {
  await fixture.contain('principal:alice', 'no-such-action')
  await fixture.contain('principal:alice', 'quarantine-pool')
  await fixture.contain('model:tiny', 'rollback-model', {})
  await fixture.contain('workload:w', 'deny-principal')
  assert.equal(await statusOf(alice), 200)
  assert.deepEqual(await fixture.eventsOf('acknowledgements'), [])
  assert.match(await fixture.registry.metrics(), /cordon_leases_unenforceable_total 4/)
})

test('what anybody may read does not say that somebody was seen or contained', async () => {
  const { node, registry } = fixture
  const findings = new Counter({ name: 'cordon_detector_findings_total', help: 'of another role in the process', registers: [registry] })
  const read = async () => {
    const bodies = await Promise.all(
      ['/metrics', '/health', '/v2', '/v2/health/ready'].map(async (url) => (await node.app.inject(url)).body),
    )
    return bodies.join('\n')
  }
  const before = await read()
  findings.inc()
  await fixture.contain('principal:alice', 'throttle-principal', { requests: 1, windowMs: 60_000 })
  assert.match(await registry.metrics(), /cordon_leases_active\{action="throttle-principal"\} 1/)
  assert.match(before, /cordon_requests_total/)
  assert.equal(await read(), before)
})

test('unreadable parameters are enforced with the default, not ignored', async () => {
  await fixture.contain('principal:alice', 'throttle-principal', { requests: 'many', windowMs: -1 })
  assert.equal(await statusOf(alice), 429)
  await fixture.contain('principal:bob', 'harden-output', { level: 'a bit' })
  assert.deepEqual(await dataOf(bob, 0.9), [1, 0, 0])
})

test('a throttled flood is refused before its body is read', async () => {
  await fixture.contain('principal:alice', 'throttle-principal', { requests: 1, windowMs: 60_000 })
  const reply = await fixture.node.app.inject({
    method: 'POST',
    url: '/v2/models/tiny/infer',
    headers: { ...alice, 'content-type': 'application/json' },
    payload: '{',
  })
  assert.equal(reply.statusCode, 429)
})
