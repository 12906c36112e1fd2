import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { openKeys } from '../../access/key-registry.ts'
import { Config } from '../../cli/config/schema.ts'
import { openCallers } from '../../cli/instance/callers.ts'
import { Closers } from '../../cli/instance/closers.ts'
import { meteringOf } from '../../cli/instance/limits.ts'
import { openPolicy, permissionOf } from '../../cli/instance/policy.ts'
import { configurations } from '../../inference/configuration.ts'
import { openRegistry } from '../../inference/registry.ts'
import { openRuntime } from '../../inference/runtime/open.ts'
import type { NodeOptions } from '../../inference/server/options.ts'
import type { Metering } from '../../inference/server/reservation.ts'
import { openAllocator } from '../../limits/allocator.ts'
import { openNodeMeter } from '../../limits/node-meter.ts'
import { LimitRule } from '../../limits/rules.ts'
import type { Denial } from '../../schemas/index.ts'
import { audience, openProvider } from '../access/provider.ts'
import { MemoryBus, unavailable, until } from './memory-bus.ts'
import { type Fixture, inferBody, openFixture, type Place, silent, start } from './node-fixture.ts'

// What a node does while something that it leans on is away: each by the real part, through the real node.

interface Opened extends Fixture {
  /** Status of an inference request by this bearer; alice's key where it is left out. */
  ask(bearer?: string): Promise<number>
}

async function open(t: TestContext, options: Partial<NodeOptions> = {}, place: Place = {}): Promise<Opened> {
  const fixture = await openFixture(options, place)
  t.after(() => fixture.close())
  const { key } = await fixture.keys.create({ principal: 'alice' })
  const ask = async (bearer = key) => {
    const headers = { authorization: `Bearer ${bearer}` }
    return (await fixture.node.app.inject({ method: 'POST', url: '/v2/models/tiny/infer', headers, payload: inferBody() })).statusCode
  }
  return Object.assign(fixture, { ask })
}

/** A log that is read by its messages. */
function openLog() {
  const messages: string[] = []
  const log = pino({ level: 'info' }, { write: (line) => messages.push((JSON.parse(line) as { msg: string }).msg) })
  return { log, messages }
}

function temporary(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'cordon-dependencies-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** A node's policy as it is configured. */
async function openPermission(t: TestContext, policy: object, clock: () => number) {
  const [closers, registry, { log, messages }] = [new Closers(), new Registry(), openLog()]
  t.after(() => closers.closeAll(silent))
  const opened = await openPolicy({ config: Config.parse({ policy }), clock, registry, log, closers }, new Map())
  assert.ok(opened)
  return { permission: permissionOf(opened, configurations({})), registry, messages }
}

/** Metering that has room for all, and is told who failed. */
function countFailures(failures: string[]): Metering {
  return {
    meter: { reserve: () => ({ ok: true, headers: {}, settle: () => {} }) },
    mostOf: () => ({ requests: 0, tokens: 0, cost: 0 }),
    riskOf: () => 0,
    isNewPlace: () => false,
    failed: (principal) => void failures.push(principal),
  }
}

describe('the policy agent is away', () => {
  /** Allows everybody, on a port that stays its own while it is closed. */
  async function openAgent(t: TestContext) {
    const answer = JSON.stringify({ result: { allow: true, policies: ['all'] }, provenance: { revision: 'r1' } })
    let server = createServer((request, response) => request.resume().on('end', () => response.end(answer)))
    let port = 0
    const back = async () => {
      server = server.listening ? server : createServer((request, response) => request.resume().on('end', () => response.end(answer)))
      await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
      const address = server.address()
      if (typeof address === 'object') port = address?.port ?? 0
    }
    const leave = async () => {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    }
    await back()
    t.after(() => (server.listening ? leave() : undefined))
    return { url: `http://127.0.0.1:${port}`, leave, back }
  }

  test('nobody is let in and no model runs, the events say so, and it goes on by itself', async (t) => {
    const agent = await openAgent(t)
    const clock = { now: start }
    const policy = { engine: 'opa', opa: { url: agent.url, deadlineMs: 5_000 } }
    const { permission, registry, messages } = await openPermission(t, policy, () => clock.now)
    const node = await open(t, { permission, registry })
    assert.equal(await node.ask(), 200)
    await agent.leave()
    for (let times = 0; times < 7; times++) assert.equal(await node.ask(), 403)
    assert.equal(node.runtime.ran.length, 1, 'the first one')
    assert.match(await registry.metrics(), /^cordon_policy_denials_total\{policy="error"\} 7$/m)
    const metrics = (await node.node.app.inject('/metrics')).body
    assert.match(metrics, /cordon_requests_total/)
    assert.doesNotMatch(metrics, /cordon_policy/, 'who is let in by what is for those who may read the console')
    await agent.back()
    assert.equal(await node.ask(), 403, 'it is left alone for a second, that a node does not wait for it each time')
    clock.now += 1_000
    assert.equal(await node.ask(), 200)
    assert.deepEqual(messages, ['the policy agent is away: nothing is allowed until it decides again', 'the policy agent decides again'])
    const events = await node.eventsOf('requests')
    const told = events.map(({ outcome, denial, policies, policy: version }) => [outcome, denial, policies.join(), version])
    const denied = Array.from({ length: 8 }, () => ['denied', 'undecided', '', 'r1'])
    assert.deepEqual(told, [['served', null, 'all', 'r1'], ...denied, ['served', null, 'all', 'r1']])
  })

  for (const [what, respond, denial] of [
    ['hangs', () => {}, 'undecided'],
    ['breaks off', (response) => response.destroy(), 'undecided'],
    ['answers what is no answer', (response) => response.end('<html>'), 'undecided'],
    ['has no such document', (response) => response.end('{}'), 'undecided'],
    ['says no', (response) => response.end('{"result":false}'), 'policy'],
    ['says who says no', (response) => response.end('{"result":{"allow":false,"policies":["night"]}}'), 'policy'],
  ] as const satisfies readonly (readonly [string, (response: ServerResponse) => unknown, Denial])[])
    test(`an agent that ${what} denies: ${denial}`, async (t) => {
      const server = createServer((request, response) => void request.resume().on('end', () => respond(response)))
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      t.after(() => {
        server.closeAllConnections()
        server.close()
      })
      const { port } = server.address() as AddressInfo
      // What does not hang answers long before it; what hangs is waited for as long.
      const deadlineMs = what === 'hangs' ? 50 : 5_000
      const policy = { engine: 'opa', opa: { url: `http://127.0.0.1:${port}`, deadlineMs } }
      const { permission } = await openPermission(t, policy, () => start)
      const failures: string[] = []
      const node = await open(t, { permission, metering: countFailures(failures) })
      assert.equal(await node.ask(), 403)
      assert.deepEqual(failures, denial === 'policy' ? ['alice'] : [], 'only what somebody said is held against the caller')
      const [event] = await node.eventsOf('requests')
      assert.deepEqual([event?.outcome, event?.denial, node.runtime.ran.length], ['denied', denial, 0])
    })
})

describe('the folder of policies is broken', () => {
  const all = '@id("all") permit (principal, action, resource);'
  const butAlice = `${all} @id("not-alice") forbid (principal == User::"alice", action, resource);`

  test('those of before decide, that is said, and what is whole again is in force at the next look', async (t) => {
    const dir = temporary(t)
    const file = join(dir, 'a.cedar')
    writeFileSync(file, all)
    const { permission, registry, messages } = await openPermission(t, { dir }, () => start)
    const node = await open(t, { permission })
    const look = () => process.emit('SIGHUP', 'SIGHUP')
    const failed = async () => /^cordon_policy_reload_failed (\d)$/m.exec(await registry.metrics())?.[1]
    messages.length = 0
    for (const [text, status, flag] of [
      ['permit (', 200, '1'],
      [butAlice, 403, '0'],
      ['@id("all") permit (principal, action, resource) when { context.nope };', 403, '1'],
      [all, 200, '0'],
    ] as const) {
      writeFileSync(file, text)
      look()
      assert.deepEqual([text, await node.ask(), await failed()], [text, status, flag])
    }
    const [refused, taken] = ['the policies on disk are refused; those of before stay in force', 'other policies are in force']
    assert.deepEqual(messages, [refused, taken, refused, taken])
  })
})

describe('the identity provider is away', () => {
  test('its tokens count for staleMs, then get 503 while keys go on, until it is back', async (t) => {
    const provider = await openProvider()
    const [closers, clock, bus] = [new Closers(), { now: Date.now() }, new MemoryBus()]
    t.after(async () => {
      await closers.closeAll(silent)
      await provider.close()
    })
    const issuer = { alias: 'idp', issuer: provider.issuer, audience, jwksMaxAgeMs: 60_000, staleMs: 120_000 }
    const read = () => clock.now
    const config = Config.parse({ access: { issuers: [issuer] } })
    const context = { config, clock: read, registry: new Registry(), log: silent, closers, warn: () => () => {} }
    const keys = closers.keep('keys', await openKeys({ bus }))
    const authenticator = openCallers(context, { addressKey: new Uint8Array(32) }, { keys })
    const node = await open(t, { authenticator, clock: read }, { bus })
    const exp = Math.floor(clock.now / 1_000) + 3_000
    const [known, unseen] = [await provider.sign({ exp }), await provider.sign({ sub: 'unseen', exp })]
    assert.equal(await node.ask(known), 200)
    await provider.leave()
    clock.now += 179_000
    assert.deepEqual([await node.ask(known), await node.ask(unseen)], [200, 200])
    clock.now += 2_000
    assert.deepEqual([await node.ask(known), await node.ask(unseen), await node.ask()], [503, 503, 200])
    await provider.back()
    clock.now += 5_000
    const fresh = await provider.sign({ sub: 'new', exp })
    assert.equal(await node.ask(fresh), 200, 'who was never seen waits for the keys')
    assert.deepEqual([await node.ask(known), await node.ask(unseen)], [200, 200])
    const outcomes = (await node.eventsOf('requests')).map(({ outcome }) => outcome)
    assert.deepEqual(outcomes.slice(3, 6), ['overloaded', 'overloaded', 'served'])
  })
})

describe('the bus is away', () => {
  const rule = LimitRule.parse({ name: 'calls', measure: 'requests', amount: 640, calendar: 'month' })

  for (const whenAway of ['refuse', 'local'] as const)
    test(`keys and containments hold, events wait, and a limit is what the node was granted, then ${whenAway}`, async (t) => {
      const [bus, clock, begun] = [new MemoryBus(), { ahead: 0 }, performance.now()]
      // By itself, since calls wait for shares.
      const read = () => start + clock.ahead + Math.floor(performance.now() - begun)
      const charge = { held: true, publish: bus.publish.bind(bus), follow: () => {}, onTake: () => {} }
      const allocator = await openAllocator({ bus, charge, rules: [rule], nodes: 2, clock: read, log: silent, source: 'test' })
      const meter = await openNodeMeter({ bus, rules: [rule], node: 'n', nodes: 2, whenAway, clock: read, log: silent, agreeMs: 100 })
      t.after(() => Promise.all([meter.close(), allocator.close()]))
      const metering = meteringOf(meter, () => 0, { configurationOf: configurations({}), prices: { perItem: 0 } })
      const node = await open(t, { metering, clock: read }, { bus })
      const { key: bob } = await node.keys.create({ principal: 'bob' })
      await node.contain('principal:bob', 'deny-principal', {}, { until: start + 600_000 })
      const earlier = 30
      for (let calls = 0; calls < earlier; calls++) assert.equal(await node.ask(), 200)
      await node.emitter.drain()

      let reports = 0
      const publish = bus.publish.bind(bus)
      bus.publish = (records) => {
        if (records.some(({ topic }) => topic === 'spending')) reports++
        return publish(records)
      }
      bus.failure = unavailable()
      const before = bus.of('requests').length
      // What is told first asks for nothing: it is not an answer that the node misses.
      clock.ahead = 10_000
      assert.equal(await node.ask(), 200)
      await until(() => reports > 0)
      let served = 1
      while ((await node.ask()) === 200) served++
      assert.ok(served >= 1 && served < 320, `${served} of 640, by one node of two`)
      assert.equal(meter.state().awaySince, null, 'it may be a moment only')
      clock.ahead = 20_000
      await until(() => meter.state().awaySince !== null)
      assert.match(meter.state().summary, /^limits: nobody shares them out/)
      assert.equal(await node.ask(), whenAway === 'refuse' ? 429 : 200)
      assert.equal(await node.ask(bob), 403, 'what is known of containments is enforced')
      assert.equal(await node.ask(`cordon_000000000000_${'a'.repeat(43)}`), 401)
      assert.equal(node.emitter.state().bus, 'away')
      assert.equal(bus.of('requests').length, before, 'they are in the spool')

      bus.failure = undefined
      clock.ahead = 30_000
      await until(() => meter.state().awaySince === null)
      assert.equal(await node.ask(), 200)
      const outcomes = (await node.eventsOf('requests')).map(({ outcome }) => outcome)
      const count = (wanted: string) => outcomes.filter((outcome) => outcome === wanted).length
      const more = whenAway === 'refuse' ? earlier + 1 : earlier + 2
      assert.deepEqual([count('served'), count('denied')], [served + more, 1], 'and every event is there')
    })
})

describe('the folder of models is away', () => {
  test('what was loaded is served; a process that starts says what is missing, and does not start', async (t) => {
    const modelsDir = join(temporary(t), 'models')
    const own = fileURLToPath(new URL('../../inference/models/', import.meta.url))
    cpSync(join(own, 'digits'), join(modelsDir, 'digits'), { recursive: true })
    const pools = [{ name: 'a', models: ['digits'], concurrency: 8 }]
    const runtime = await openRuntime({ modelsDir, pools, maxQueueItems: 8, registry: new Registry(), log: silent })
    t.after(() => runtime.close())
    const node = await open(t, { runtime, pools, fingerprinterOf: () => undefined })
    renameSync(modelsDir, `${modelsDir}-away`)
    const { key } = await node.keys.create({ principal: 'carol' })
    for (const { version } of runtime.list()) {
      const told = await node.node.app.inject({
        method: 'POST',
        url: `/v2/models/digits/versions/${version}/infer`,
        headers: { authorization: `Bearer ${key}` },
        payload: { inputs: [{ name: 'image', shape: [1, 28, 28, 1], datatype: 'FP32', data: Array.from({ length: 784 }, () => 0) }] },
      })
      assert.deepEqual([version, told.statusCode], [version, 200])
    }
    await assert.rejects(openRegistry(modelsDir), { code: 'MODEL_NOT_FOUND', message: /does it exist/ })
  })
})
