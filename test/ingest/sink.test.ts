import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import pino from 'pino'
import { Registry } from 'prom-client'
import { encode, encodeTick, newEvent, tombstone } from '../../bus/codec.ts'
import { createEmbeddedBus } from '../../bus/embedded/bus.ts'
import type { ConsumerOptions, EventBus, OutgoingRecord, PartitionControl } from '../../bus/port.ts'
import { type Sink, type SinkOptions, sinkTopics, startSink } from '../../ingest/sink.ts'
import { type DataOf, topics } from '../../schemas/index.ts'
import type { Row, Store, TableName } from '../../store/index.ts'
import { openStore, StoreError } from '../../store/index.ts'
import { until } from '../bus/until.ts'
import * as story from '../store/story.ts'

const log = pino({ level: 'silent' })

describe('sink', () => {
  let directory: string
  let bus: EventBus
  let store: Store
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cordon-sink-'))
    bus = await createEmbeddedBus({ path: join(directory, 'bus') })
    store = await openStore({ path: join(directory, 'store'), log })
    await store.migrate()
    await bus.ensureTopics(Object.values(topics).map(({ name, partitions, retentionMs }) => ({ name, partitions, retentionMs })))
  })
  after(async () => {
    await bus.close()
    await store.close()
    await rm(directory, { recursive: true, force: true })
  })

  let now = story.start
  const start = (over: Partial<SinkOptions> = {}) =>
    startSink({ bus, store, log, registry: new Registry(), clock: () => now, maxWaitMs: 20, ...over })

  /** Runs a sink until the group has committed everything. */
  async function drain(over: Partial<SinkOptions> = {}): Promise<Sink> {
    const sink = await start(over)
    await drained()
    await sink.close()
    return sink
  }

  const drained = () => until('the sink has committed everything', async () => (await lag()) === 0)

  async function lag(): Promise<number> {
    const committed = new Map(
      (await bus.groups()).filter(({ group }) => group === 'sink').map((one) => [`${one.topic}/${one.partition}`, one.committed ?? 0]),
    )
    const ends = (await Promise.all(sinkTopics.map((topic) => bus.partitions(topic)))).flat()
    return ends.reduce((sum, { topic, partition, end }) => sum + end - (committed.get(`${topic}/${partition}`) ?? 0), 0)
  }

  const flowRecord = (name: string, over: Partial<DataOf<'flow'>> = {}, at = story.start) =>
    encode('flows', newEvent('flow', { ...story.flow, connection: name, ...over }, 'sensor', at, story.idOf(name, at)))

  const count = async (table: TableName, where = '1') =>
    (await store.sql(`SELECT count() AS rows, uniqExact(id) AS ids FROM ${table} WHERE ${where}`)).rows[0]

  it('stores every kind of event once, and neither ticks nor tombstones nor control state', async () => {
    await bus.publish([
      encode('requests', newEvent('request', story.request, 'n', story.start)),
      encode('fingerprints', newEvent('fingerprint', story.fingerprint, 'n', story.start)),
      encode('telemetry', newEvent('telemetry', story.telemetry, 'n', story.start)),
      encode('flows', newEvent('flow', story.flow, 'n', story.start)),
      encode('findings', newEvent('finding', story.finding, 'n', story.start)),
      encode('incidents', newEvent('incident', story.incident, 'n', story.start)),
      encode('incidents', newEvent('incident', { ...story.incident, state: 'closed', closedAt: story.start }, 'n', story.start)),
      tombstone('incidents', story.incident.id, story.start),
      encode('actions', newEvent('action', story.action, 'n', story.start)),
      encode('containments', newEvent('containment', story.containment, 'n', story.start)),
      encode('acknowledgements', newEvent('acknowledgement', story.acknowledgement, 'n', story.start)),
      encode('dead-letters', newEvent('dead-letter', story.deadLetter, 'n', story.start)),
      encode('commands', newEvent('command', story.command, 'n', story.start)),
      encode('outcomes', newEvent('outcome', story.outcome, 'n', story.start)),
      encodeTick('requests', 0, newEvent('tick', { until: story.start }, 'host', story.start)),
      encode(
        'models',
        newEvent('model', { name: 'digits', current: 'v1', versions: [{ version: 'v1', digest: 'd', good: true }] }, 'n', story.start),
      ),
    ])
    const sink = await drain()
    assert.deepEqual([sink.state().rowsWritten, sink.state().duplicates, sink.state().deadLetters], [13, 0, 0])
    const rows = await store.query('exact-once', {})
    assert.deepEqual(
      rows.rows.map((row) => [row.topic, row.rows, row.ids]),
      [
        ['acknowledgements', 1, 1],
        ['actions', 1, 1],
        ['commands', 1, 1],
        ['containments', 1, 1],
        ['dead-letters', 1, 1],
        ['findings', 1, 1],
        ['fingerprints', 1, 1],
        ['flows', 1, 1],
        ['incidents', 2, 2],
        ['outcomes', 1, 1],
        ['requests', 1, 1],
        ['telemetry', 1, 1],
      ],
    )
  })

  it('stores once what a producer published twice, what is replayed long after, and what another group reads', async () => {
    const records = Array.from({ length: 300 }, (_, index) => flowRecord(`twice-${index}`, {}, story.start + index * story.minute))
    await bus.publish([...records, ...records.slice(0, 100)])
    const first = await drain()
    assert.deepEqual([first.state().rowsWritten, first.state().duplicates], [300, 100])
    await bus.publish(records.slice(0, 50).map((record) => ({ ...record, timestamp: story.start + 90 * 24 * 60 * story.minute })))
    assert.equal((await drain()).state().rowsWritten, 0)
    const all = await start({ group: 'replay', registry: new Registry() })
    await until('everything is read again', () => all.state().rowsWritten + all.state().duplicates >= 463)
    await all.close()
    assert.equal(all.state().rowsWritten, 0)
    assert.deepEqual(await count('flows', "connection LIKE 'twice-%'"), { rows: 300, ids: 300 })
  })

  it('stores once what was stored when the commit was lost', async () => {
    await bus.publish(Array.from({ length: 50 }, (_, index) => flowRecord(`lost-${index}`)))
    let losses = 3
    const sink = await drain({
      bus: losingCommits(bus, () => losses-- > 0),
    })
    assert.deepEqual([sink.state().rowsWritten, sink.state().duplicates > 0], [50, true])
    assert.deepEqual(await count('flows', "connection LIKE 'lost-%'"), { rows: 50, ids: 50 })
  })

  it('stores once what failed half-way, or succeeded without saying so', async () => {
    await bus.publish(Array.from({ length: 50 }, (_, index) => flowRecord(`half-${index}`)))
    const faults: ((table: TableName, rows: readonly Row[], token: string) => Promise<void>)[] = [
      (table, rows, token) => store.insert(table, rows.slice(0, 20), `half-${token}`),
      (table, rows, token) => store.insert(table, rows, token),
    ]
    const failing = {
      ...portOf(store),
      insert: async (table: TableName, rows: readonly Row[], token: string) => {
        const fault = faults.shift()
        if (fault === undefined) return store.insert(table, rows, token)
        await fault(table, rows, token)
        throw new StoreError('INSERT_FAILED', 'the connection broke')
      },
    }
    await drain({ store: failing })
    assert.deepEqual(await count('flows', "connection LIKE 'half-%'"), { rows: 50, ids: 50 })
  })

  it('stops reading while the store is away, says since when, and goes on by itself', async () => {
    let away = true
    const flaky = {
      ...portOf(store),
      known: (table: TableName, ids: readonly string[]) =>
        away ? Promise.reject(new StoreError('QUERY_FAILED', 'connection refused')) : store.known(table, ids),
    }
    const registry = new Registry()
    now = story.start
    const sink = await start({ store: flaky, registry })
    await bus.publish(Array.from({ length: 20 }, (_, index) => flowRecord(`away-${index}`)))
    await until('it notices', () => sink.state().blocked !== null)
    now += 5_000
    assert.deepEqual(sink.state().blocked, { since: story.start, sinceMs: 5_000, tables: ['flows'], reason: 'connection refused' })
    assert.match(await registry.metrics(), /cordon_sink_blocked_seconds 5/)
    assert.ok((await lag()) >= 20)
    away = false
    await drained()
    assert.equal(sink.state().blocked, null)
    assert.match(await registry.metrics(), /cordon_sink_rows_total\{table="flows"\} 20/)
    await sink.close()
    assert.deepEqual(await count('flows', "connection LIKE 'away-%'"), { rows: 20, ids: 20 })
  })

  it('closes while the store is away, and leaves the events to the next sink', async () => {
    const gone = { ...portOf(store), known: () => Promise.reject(new StoreError('QUERY_FAILED', 'connection refused')) }
    const sink = await start({ store: gone })
    await bus.publish([flowRecord('left')])
    await until('it notices', () => sink.state().blocked !== null)
    await sink.close()
    assert.equal(await lag(), 1)
    await drain()
    assert.deepEqual(await count('flows', "connection = 'left'"), { rows: 1, ids: 1 })
  })

  it('dead-letters what it cannot read, once however often it comes, and goes on', async () => {
    const good = flowRecord('beside-bad')
    const bad: OutgoingRecord[] = [
      { ...good, value: Buffer.from('{"workload":') },
      { ...good, value: Buffer.from([0xff, 0xfe]) },
      { ...good, headers: {} },
      { ...good, headers: { ...good.headers, ce_dataschema: 'urn:cordon:schema:flow:2.0' } },
      { ...good, value: Buffer.from(JSON.stringify({ ...story.flow, bytesOut: -1 })) },
    ]
    await bus.publish([...bad, good])
    let losses = 1
    const sink = await drain({ bus: losingCommits(bus, (topic) => topic === 'flows' && losses-- > 0) })
    assert.equal(sink.state().deadLetters, 10)
    assert.deepEqual(await count('flows', "connection = 'beside-bad'"), { rows: 1, ids: 1 })
    const { rows } = await store.sql("SELECT code, fromTopic, source FROM dead_letters WHERE source = 'sink' ORDER BY fromOffset")
    assert.deepEqual(
      rows.map((row) => row.code),
      ['MALFORMED_JSON', 'MALFORMED_JSON', 'MISSING_ATTRIBUTE', 'UNKNOWN_MAJOR', 'INVALID_DATA'],
    )
  })

  it('dead-letters a row that the store can never take, and stores the others', async () => {
    await bus.publish(['one', 'unstorable', 'two'].map((name) => flowRecord(name)))
    const picky = {
      ...portOf(store),
      insert: (table: TableName, rows: readonly Row[], token: string) =>
        store.insert(
          table,
          // The engine itself refuses it: a text is no number.
          rows.map((row) => (row.connection === 'unstorable' ? { ...row, bytesOut: 'much' } : row)),
          token,
        ),
    }
    await drain({ store: picky })
    assert.deepEqual(await count('flows', "connection IN ('one', 'unstorable', 'two')"), { rows: 2, ids: 2 })
    assert.deepEqual(await count('dead_letters', "code = 'INSERT_REJECTED'"), { rows: 1, ids: 1 })
  })

  it('writes no dead letter of a dead letter that the store can never take: that would be the next one', async () => {
    await bus.publish([{ topic: 'flows', key: 'w', value: Buffer.from('{'), headers: {}, timestamp: story.start }])
    const end = async () => (await bus.partitions('dead-letters'))[0]?.end ?? 0
    const before = await end()
    const picky: SinkOptions['store'] = {
      ...portOf(store),
      insert: (table, rows, token) =>
        table === 'dead_letters' ? Promise.reject(new StoreError('INSERT_REJECTED', 'cannot parse')) : store.insert(table, rows, token),
    }
    const sink = await drain({ store: picky })
    assert.equal(await end(), before + 1)
    assert.equal(sink.state().deadLetters, 2)
  })
})

function portOf(store: Store): SinkOptions['store'] {
  return {
    engine: store.engine,
    lateMs: store.lateMs,
    insert: (table, rows, token, onSend) => store.insert(table, rows, token, onSend),
    known: (table, ids) => store.known(table, ids),
    settled: () => store.settled(),
  }
}

/** A bus on which a commit fails when `loses` says so: as if the process had died after storing. */
function losingCommits(bus: EventBus, loses: (topic: string) => boolean): EventBus {
  const consume = (options: ConsumerOptions) =>
    bus.consume({
      ...options,
      onBatch: (batch, control) => {
        const commit: PartitionControl['commit'] = async (offset) => {
          if (loses(batch.topic)) throw new Error('the commit was lost')
          await control.commit(offset)
        }
        return options.onBatch(batch, { commit, signal: control.signal, held: () => control.held() })
      },
    })
  return new Proxy(bus, {
    get: (target, name) => {
      if (name === 'consume') return consume
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
