import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Registry } from 'prom-client'
import { openKeys } from '../../access/key-registry.ts'
import { decode, encode, newEvent } from '../../bus/codec.ts'
import { createKafkaBus } from '../../bus/kafka/bus.ts'
import type { EventBus } from '../../bus/port.ts'
import { openView } from '../../bus/view.ts'
import { configurations } from '../../inference/configuration.ts'
import { openEmitter } from '../../inference/emitter/emitter.ts'
import type { ControlLost } from '../../inference/server/freshness.ts'
import { createNode, type InferenceNode } from '../../inference/server/node.ts'
import { passThrough } from '../../inference/server/tracing.ts'
import { type Acknowledgement, type Containment, leaseId, sentHeader, topics } from '../../schemas/index.ts'
import { quantile } from '../bench/quantile.ts'
import { until } from '../bus/until.ts'
import { fingerprinterBy, inferBody, noText, silent, TinyRuntime, tinyFingerprint } from '../inference/node-fixture.ts'
import { callersByKey, openTestKeys } from '../inference/test-keys.ts'
import { type Cluster, startCluster } from './cluster.ts'

// Three nodes that share nothing but a broker, one for each thing to do when it falls silent.

const boundMs = 2_000
const modes: readonly ControlLost[] = ['fail-open', 'last-known', 'fail-closed']

interface Running {
  readonly mode: ControlLost
  readonly node: InferenceNode
  /** The status of one request. */
  ask(bearer: string): Promise<number>
  close(): Promise<void>
}

let cluster: Cluster
let dir: string
let control: EventBus
let keys: Awaited<ReturnType<typeof openTestKeys>>
let nodes: Running[]
const acknowledged: Acknowledgement[] = []

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'cordon-nodes-'))
  cluster = await startCluster({ brokers: 1 })
  control = await createKafkaBus({ brokers: cluster.brokers, clientId: 'control', replication: 1, minInsyncReplicas: 1 })
  await control.ensureTopics(Object.values(topics))
  keys = await openTestKeys(control, Date.now)
  await control.tail({
    topic: 'acknowledgements',
    from: 'start',
    onRecords: (records) => acknowledged.push(...records.map((record) => decode(record).data as Acknowledgement)),
  })
  nodes = await Promise.all(modes.map(openNode))
})
after(async () => {
  for (const node of nodes ?? []) await node.close()
  await keys?.close()
  await control?.close()
  await cluster?.stop()
  rmSync(dir, { recursive: true, force: true })
})

async function openNode(mode: ControlLost): Promise<Running> {
  const bus = await createKafkaBus({ brokers: cluster.brokers, clientId: mode })
  const registry = new Registry()
  const emitter = await openEmitter({ bus, dir: join(dir, mode), clock: Date.now, log: silent, registry })
  const known = await openKeys({ bus })
  const containments = await openView(bus, 'containments')
  const models = await openView(bus, 'models')
  const node = await createNode({
    name: mode,
    pools: [{ name: 'a', models: ['tiny'], concurrency: 128 }],
    runtime: new TinyRuntime(),
    text: noText,
    configurationOf: configurations({}),
    tracing: passThrough,
    fingerprinterOf: () => fingerprinterBy(tinyFingerprint),
    keys: known,
    authenticator: callersByKey(known, registry),
    ...{ containments, models, emitter, registry, clock: Date.now, log: silent },
    control: { boundMs, lost: mode },
    addressKey: new Uint8Array(32),
    prices: { perItem: 1 },
  })
  const { url } = await node.start({ host: '127.0.0.1', port: 0 })
  const body = JSON.stringify(inferBody())
  return {
    mode,
    node,
    ask: async (bearer) => {
      const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' }
      const reply = await fetch(`${url}/v2/models/tiny/infer`, { method: 'POST', headers, body })
      await reply.arrayBuffer()
      return reply.status
    },
    close: async () => {
      await node.close()
      await emitter.drain(5_000)
      await emitter.close()
      for (const view of [known, containments, models]) await view.close()
      await bus.close()
    },
  }
}

function denial(principal: string, forMs: number): Containment {
  const now = Date.now()
  const target = `principal:${principal}`
  const times = { from: now, until: now + forMs, endedAt: null, endedBy: null, decidedAt: now }
  const about = { reason: 'test', owner: 'person:test', incident: null, parameters: {} }
  return { id: leaseId(target, 'deny-principal'), target, action: 'deny-principal', ...about, ...times, state: 'active', revision: 0 }
}

const grant = (lease: Containment) => control.publish([encode('containments', newEvent('containment', lease, 'test', lease.from))])
const knownToAll = (bearer: string) =>
  until('every node knows the key', async () =>
    (await Promise.all(nodes.map((node) => node.ask(bearer)))).every((status) => status === 200),
  )

describe('several nodes over one broker', () => {
  test('a lease is enforced by all of them on their next requests, and each says so', async () => {
    const afterMs: number[] = []
    for (let round = 0; round < 20; round++) {
      const { key } = await keys.create({ principal: `p${round}` })
      await knownToAll(key)
      const lease = denial(`p${round}`, 600_000)
      const published = performance.now()
      await grant(lease)
      const enforced = nodes.map(async ({ ask }) => {
        while ((await ask(key)) !== 403);
        return performance.now() - published
      })
      afterMs.push(Math.max(...(await Promise.all(enforced))))
      await until('every node acknowledges', () => acknowledged.filter(({ lease: id }) => id === lease.id).length >= nodes.length)
    }
    assert.deepEqual(new Set(acknowledged.map(({ node }) => node)), new Set(modes))
    assert.equal(acknowledged.length, 20 * nodes.length, 'each revision once')
    const [p50, max] = [quantile(afterMs, 0.5), quantile(afterMs, 1)]
    console.log(`from publish to the last of ${nodes.length} nodes: p50 ${p50.toFixed(1)} ms, max ${max.toFixed(1)} ms`)
    assert.ok(p50 < 500, `${p50} ms`)
  })

  test('records carry when they were sent', async () => {
    let seen = 0
    for (const { partition } of await control.partitions('requests')) {
      for await (const records of control.read('requests', partition, 0)) {
        for (const { headers, timestamp } of records) {
          seen++
          // Both clocks are this machine's; the log takes a record after it was sent.
          const skewMs = timestamp - Number(headers[sentHeader])
          assert.ok(skewMs >= -5 && skewMs < 5_000, `${skewMs} ms`)
        }
      }
    }
    assert.ok(seen > 20)
  })

  test('a node does not need anyone to write models', async () => {
    assert.deepEqual(
      (await control.partitions('models')).map(({ end }) => end),
      [0],
    )
  })

  test('a broker that falls silent: each node follows its mode beyond its bound, and recovers', async () => {
    const issued = await Promise.all(['mallory', 'eve', 'alice'].map((principal) => keys.create({ principal })))
    const [contained = '', briefly = '', free = ''] = issued.map(({ key }) => key)
    for (const key of [contained, briefly, free]) await knownToAll(key)
    const [open, last, closed] = nodes as [Running, Running, Running]
    const answers = (key: string) => Promise.all([open, last, closed].map((node) => node.ask(key)))
    await grant(denial('mallory', 600_000))
    const brief = denial('eve', 8_000)
    await grant(brief)
    await until('all contain', async () => String([await answers(contained), await answers(briefly)]) === '403,403,403,403,403,403')
    const broker = cluster.nodes[0]
    assert.ok(broker !== undefined)
    broker.pause()
    const paused = performance.now()
    try {
      assert.deepEqual(await answers(contained), [403, 403, 403], 'within the bound nothing changes')
      await until('the bound is crossed', async () => (await closed.ask(free)) === 503)
      const crossedMs = performance.now() - paused
      // The newest answer before the pause may be as old as one wait of a fetch.
      assert.ok(crossedMs > boundMs - 1_000 && crossedMs < boundMs + 1_000, `${crossedMs} ms`)
      await until('the others cross it', () => [open, last].every(({ node }) => node.pulse().detail.controlLost !== null))
      assert.deepEqual(await answers(contained), [200, 403, 503])
      assert.deepEqual(await answers(briefly), [200, 403, 503])
      assert.deepEqual(await answers(free), [200, 200, 503])
      assert.ok(nodes.every(({ node }) => !node.pulse().ok))
      assert.ok(closed.node.pulse().controlStaleMs > boundMs)
      await until('the lease ends by the clock', async () => (await last.ask(briefly)) === 200)
      assert.ok(Date.now() >= brief.until)
    } finally {
      broker.resume()
    }
    const resumed = performance.now()
    await until(
      'all know again',
      async () => String(await answers(contained)) === '403,403,403' && String(await answers(free)) === '200,200,200',
    )
    console.log(`bound ${boundMs} ms; known again ${(performance.now() - resumed).toFixed(0)} ms after the broker was`)
    await until('the events are on the bus', () =>
      nodes.every(({ node }) => node.pulse().spoolBytes === 0 && node.pulse().detail.bus === 'ok'),
    )
    assert.ok(nodes.every(({ node }) => node.pulse().detail.dropped === 0))
  })
})
