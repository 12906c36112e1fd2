import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import pino from 'pino'
import { Registry } from 'prom-client'
import { encode, newEvent } from '../../bus/codec.ts'
import { createEmbeddedBus } from '../../bus/embedded/bus.ts'
import type { EventBus } from '../../bus/port.ts'
import { type Sink, sinkTopics, startSink } from '../../ingest/sink.ts'
import { topics } from '../../schemas/index.ts'
import type { Store } from '../../store/index.ts'
import { rowOf } from '../../store/index.ts'
import { seeded } from '../attacks/random.ts'
import { until } from '../bus/until.ts'
import * as story from '../store/story.ts'
import { newDatabase, storeAt } from './factory.ts'
import { type Fault, type Proxy, pass, startProxy } from './proxy.ts'
import type { ClickHouseServer } from './server.ts'
import { notOurs, startClickHouse } from './start.ts'

const log = pino({ level: 'silent' })
const seed = Number(process.env.CORDON_TEST_SEED ?? 1)

/** Short, so that a server that hangs is soon given up. */
const insertTimeoutMs = 1_500

describe(`the sink on ClickHouse, seed ${seed}`, () => {
  let server: ClickHouseServer
  let proxy: Proxy
  let directory: string
  let bus: EventBus
  let database: string
  /** Through the proxy, for sinks; and past it, to look. */
  let store: Store
  let direct: Store
  const sinks: Sink[] = []
  /** Records that the bus has given to sinks. */
  let delivered = 0

  before(async () => {
    server = await startClickHouse()
    console.log(`ClickHouse: ${server.origin}`)
  })
  after(() => server?.stop())

  beforeEach(async () => {
    proxy = await startProxy(server.url)
    directory = await mkdtemp(join(tmpdir(), 'cordon-sink-'))
    bus = await createEmbeddedBus({ path: directory })
    const consume = bus.consume.bind(bus)
    bus.consume = (options) =>
      consume({
        ...options,
        onBatch: (batch, control) => {
          delivered += batch.records.length
          return options.onBatch(batch, control)
        },
      })
    await bus.ensureTopics(Object.values(topics))
    database = newDatabase()
    direct = await storeAt(server.url, database)
    await direct.migrate()
    store = await storeAt(proxy.url, database, { insertTimeoutMs })
  })
  afterEach(async () => {
    proxy.plan(() => pass)
    await Promise.all(sinks.splice(0).map((sink) => sink.close()))
    await bus.close()
    await store.close()
    await proxy.close()
    await direct.client.command({ query: `DROP DATABASE ${database}` })
    await direct.close()
    await rm(directory, { recursive: true, force: true })
  })

  async function sink(): Promise<Sink> {
    const started = await startSink({ bus, store, log, registry: new Registry(), clock: Date.now, maxWaitMs: 10 })
    sinks.push(started)
    return started
  }

  const ids: string[] = []
  /** Flows over every partition; some of them twice, as a producer does that did not hear of its success. */
  async function publish(count: number): Promise<void> {
    const events = Array.from({ length: count }, (_, index) =>
      newEvent('flow', { ...story.flow, workload: `w${index % 16}` }, 'sensor', Date.now()),
    )
    ids.push(...events.map(({ id }) => id))
    await bus.publish(events.map((event) => encode('flows', event)))
    await bus.publish(events.slice(0, count / 10).map((event) => encode('flows', event)))
  }
  beforeEach(() => void ids.splice(0))

  async function lag(): Promise<number> {
    const committed = new Map((await bus.groups()).map((one) => [`${one.topic}/${one.partition}`, one.committed ?? 0]))
    const ends = (await Promise.all(sinkTopics.map((topic) => bus.partitions(topic)))).flat()
    return ends.reduce((sum, { topic, partition, end }) => sum + end - (committed.get(`${topic}/${partition}`) ?? 0), 0)
  }

  async function storedOnce(): Promise<void> {
    await until('everything is stored and committed', async () => (await lag()) === 0, 60_000)
    const result = await direct.client.query({ query: 'SELECT id FROM flows', format: 'JSONCompact' })
    const stored = (await result.json<[string]>()).data.map(([id]) => id)
    const found = new Set(stored)
    assert.deepEqual(
      { rows: stored.length, lost: ids.filter((id) => !found.has(id)).length, ids: found.size },
      { rows: ids.length, lost: 0, ids: ids.length },
    )
  }

  /** Faults of every kind, so often in a hundred. */
  function someFaults(percent: number): () => Fault {
    const random = seeded(seed)
    const kinds: readonly Fault[] = [
      { kind: 'error' },
      { kind: 'cut' },
      { kind: 'shorten' },
      { kind: 'lose' },
      { kind: 'slow', ms: 200 },
      { kind: 'hold', ms: 300 },
    ]
    // Each kind once for certain, however few requests there are.
    const due = [...kinds]
    return () => (random.below(100) < percent ? (due.pop() ?? random.pick(kinds)) : pass)
  }

  it('stores every event once through a network that errs, cuts, delays and loses answers', async () => {
    proxy.plan(someFaults(40))
    await sink()
    // Until each kind of fault was met.
    while (Object.keys(proxy.counts()).length < 7 && ids.length < 40_000) {
      await publish(200)
      await delay(20)
    }
    await storedOnce()
    assert.deepEqual(Object.keys(proxy.counts()).toSorted(), ['cut', 'error', 'hold', 'lose', 'pass', 'shorten', 'slow'])
  })

  it('stores every event once when the server is killed, and started again, while it stores', { skip: notOurs }, async () => {
    const random = seeded(seed + 1)
    await sink()
    for (let round = 0; round < 5; round++) {
      await publish(400)
      await delay(random.below(150))
      await server.kill()
      await publish(200)
      await server.restart()
    }
    await storedOnce()
  })

  it('stores every event once when the server is paused, and says since when', { skip: notOurs }, async () => {
    const running = await sink()
    await publish(100)
    await until('the first are stored', () => running.state().rowsWritten === 100)
    await server.pause()
    const paused = Date.now()
    await publish(300)
    await until('it says that the store is away', () => running.state().blocked !== null)
    const since = running.state().blocked?.since ?? 0
    assert.ok(since >= paused - 100 && since < paused + insertTimeoutMs, `${since - paused} ms after the pause`)
    await server.resume()
    await storedOnce()
    assert.equal(running.state().blocked, null)
  })

  it('stops reading while there is no server, holds little, and goes on by itself', async () => {
    const running = await sink()
    await publish(100)
    await storedOnce()
    await proxy.leave()
    delivered = 0
    for (let round = 0; round < 12; round++) await publish(4_000)
    await until('it says so', () => running.state().blocked !== null)
    const since = running.state().blocked?.since
    await until('it has tried some times', async () => (running.state().blocked?.sinceMs ?? 0) > 1_000)
    // One batch of each of the four partitions is read and waits; nothing of it is committed.
    assert.equal(await lag(), 12 * 4_400)
    assert.ok(delivered > 0 && delivered <= 4 * 5_000, `${delivered} records were read`)
    assert.deepEqual([running.state().blocked?.since, running.state().blocked?.tables], [since, ['flows']])
    await proxy.comeBack()
    await storedOnce()
    assert.equal(running.state().blocked, null)
  })

  it('stores every event once while sinks of one group come and go, and the network errs', async () => {
    const random = seeded(seed + 2)
    proxy.plan(someFaults(25))
    await sink()
    for (let round = 0; round < 12; round++) {
      await publish(300)
      if (sinks.length < 3 && random.below(10) < 6) await sink()
      else if (sinks.length > 1) await sinks.splice(random.below(sinks.length), 1)[0]?.close()
      await delay(random.below(60))
    }
    await storedOnce()
    // Whoever is left has no trouble, or only its own.
    proxy.plan(() => pass)
    await until('nobody is blocked', () => sinks.every((one) => one.state().blocked === null))
  })

  it('is not blocked any more by what was taken from it', async () => {
    proxy.plan(({ verb }) => (verb === 'insert' ? { kind: 'error' } : pass))
    const first = await sink()
    await publish(40)
    await until('it is blocked', () => first.state().blocked !== null)
    const closing = performance.now()
    await first.close()
    assert.ok(performance.now() - closing < 2_000)
    assert.equal(first.state().blocked, null)
    assert.deepEqual(first.state().assignments, [])
    proxy.plan(() => pass)
    await sink()
    await storedOnce()
  })

  it('waits for an insert that a member left running', async () => {
    await publish(1)
    const [id = ''] = ids
    // The same event, under another token, as the batches of a member that died were cut otherwise.
    const sleepy = `SELECT toUUID('${id}'), if(sum(sleepEachRow(1)) = 0, 'w', '') FROM numbers(5) SETTINGS max_block_size = 1, async_insert = 0`
    const left = direct.client.command({ query: `INSERT INTO flows (id, workload) ${sleepy}` })
    await until('it runs', async () => {
      const result = await direct.client.query({
        query: "SELECT count() FROM system.processes WHERE query_kind = 'Insert'",
        format: 'JSONCompact',
      })
      return Number((await result.json<[string]>()).data[0]?.[0]) === 1
    })
    await sink()
    await left
    await storedOnce()
  })

  it('refuses an insert that comes when its sender is long gone', async () => {
    await publish(2)
    const rows = ids.map((id, offset) =>
      rowOf({ kind: 'flow', id, time: Date.now(), source: 'sensor', data: story.flow }, { topic: 'flows', partition: 0, offset }),
    )
    // Longer than an insert may be late.
    proxy.plan(({ verb }) => (verb === 'insert' ? { kind: 'hold', ms: insertTimeoutMs + 1_000 } : pass))
    await assert.rejects(store.insert('flows', rows, 'late'), { code: 'INSERT_FAILED' })
    proxy.plan(() => pass)
    await sink()
    await storedOnce()
    await until('the late one has come', () => proxy.heldAnswers.length === 1)
    assert.match(proxy.heldAnswers[0] ?? '', /the insert came too late/)
    await storedOnce()
  })
})
