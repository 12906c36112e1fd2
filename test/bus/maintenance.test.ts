import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createEmbeddedBus, type EmbeddedBus } from '../../bus/embedded/bus.ts'
import type { BusRecord, OutgoingRecord } from '../../bus/port.ts'

const day = 86_400_000
const start = Date.UTC(2026, 0, 1)

async function open(t: TestContext): Promise<{ reopen: (clock?: () => number) => Promise<EmbeddedBus> }> {
  const path = await mkdtemp(join(tmpdir(), 'cordon-maintenance-'))
  let bus: EmbeddedBus | undefined
  t.after(async () => {
    await bus?.close()
    await rm(path, { recursive: true })
  })
  return {
    reopen: async (clock = () => start) => {
      await bus?.close()
      bus = await createEmbeddedBus({ path, clock })
      return bus
    },
  }
}

function record(key: string | null, value: string | null, timestamp: number): OutgoingRecord {
  return { topic: 't', key, value: value === null ? null : Buffer.from(value), headers: {}, timestamp, partition: 0 }
}

async function readAll(bus: EmbeddedBus, from = 0): Promise<BusRecord[]> {
  const found: BusRecord[] = []
  for await (const records of bus.read('t', 0, from)) found.push(...records)
  return found
}

test('keeps records as long as the topic says, and offsets for ever', async (t) => {
  const { reopen } = await open(t)
  let now = start
  let bus = await reopen(() => now)
  await bus.ensureTopics([{ name: 't', partitions: 1, retentionMs: 7 * day }])
  // One chunk a day: maintain() moves what was published into the index.
  for (let i = 0; i < 10; i++) {
    now = start + i * day
    await bus.publish([record(null, `${i}a`, now), record(null, `${i}b`, now)])
    await bus.maintain()
  }
  // On day 9, what is older than day 2 is gone: offsets 0 to 3.
  assert.deepEqual(await bus.partitions('t'), [{ topic: 't', partition: 0, start: 4, end: 20 }])
  assert.deepEqual((await readAll(bus)).map((r) => r.offset).slice(0, 3), [4, 5, 6])
  assert.deepEqual(await bus.offsetsAt('t', start), new Map([[0, 4]]))
  assert.deepEqual(await bus.offsetsAt('t', start + 5 * day), new Map([[0, 10]]))
  now = start + 100 * day
  await bus.maintain()
  assert.deepEqual(await bus.partitions('t'), [{ topic: 't', partition: 0, start: 20, end: 20 }])
  bus = await reopen(() => now)
  assert.deepEqual(await bus.publish([record(null, 'new', now)]), [{ topic: 't', partition: 0, offset: 20 }])
  assert.deepEqual(
    (await readAll(bus)).map((r) => r.offset),
    [20],
  )
  assert.deepEqual(await bus.offsetsAt('t', 0), new Map([[0, 20]]))
})

test('keeps records by when they came: what is dated in the past waits for its readers, what is dated in the future goes', async (t) => {
  const { reopen } = await open(t)
  let now = start
  let bus = await reopen(() => now)
  await bus.ensureTopics([{ name: 't', partitions: 1, retentionMs: 7 * day }])
  await bus.publish([record(null, 'a log of last month', start - 30 * day)])
  await bus.publish([record(null, 'a clock of the next century', start + 36_500 * day)])
  await bus.maintain()
  assert.equal((await readAll(bus)).length, 2, 'acknowledged a moment ago')
  now = start + 6 * day
  bus = await reopen(() => now)
  await bus.maintain()
  assert.equal((await readAll(bus)).length, 2)
  now = start + 8 * day
  await bus.maintain()
  assert.deepEqual(await bus.partitions('t'), [{ topic: 't', partition: 0, start: 2, end: 2 }])
})

test('a consumer that is behind what was dropped goes on with what is left', async (t) => {
  const { reopen } = await open(t)
  let now = start
  const bus = await reopen(() => now)
  await bus.ensureTopics([{ name: 't', partitions: 1, retentionMs: day }])
  await bus.publish([record(null, 'old', now)])
  await bus.maintain()
  now += 2 * day
  await bus.maintain()
  await bus.publish([record(null, 'new', now)])
  const seen = Promise.withResolvers<number[]>()
  const consumer = await bus.consume({
    group: 'g',
    topics: ['t'],
    onAssigned: async () => 0,
    onBatch: async ({ records }) => seen.resolve(records.map((r) => r.offset)),
  })
  assert.deepEqual(await seen.promise, [1])
  await consumer.close()
})

test('compacts to the newest record of each key, at its offset, across restarts', async (t) => {
  const { reopen } = await open(t)
  let bus = await reopen()
  await bus.ensureTopics([{ name: 't', partitions: 1, retentionMs: null }])
  // 40 rounds of 25 keys of 400 bytes: 400 kB, of which the last round and what is not yet indexed survives.
  const value = (key: number, round: number): string => `${key}:${round}`.padEnd(400, '.')
  for (let round = 0; round < 40; round++) {
    await bus.publish(Array.from({ length: 25 }, (_, key) => record(String(key), value(key, round), start + round)))
  }
  await bus.maintain()
  const expected = Array.from({ length: 25 }, (_, key) => ({ offset: 39 * 25 + key, key: String(key), value: value(key, 39) }))
  const survivors = async (): Promise<unknown[]> =>
    (await readAll(bus)).map(({ offset, key, value }) => ({ offset, key, value: Buffer.from(value ?? []).toString() }))
  assert.deepEqual(await survivors(), expected)
  assert.deepEqual(await bus.partitions('t'), [{ topic: 't', partition: 0, start: 0, end: 1_000 }])
  assert.deepEqual(await bus.offsetsAt('t', start + 10), new Map([[0, 975]]))
  bus = await reopen()
  await bus.maintain()
  assert.deepEqual(await survivors(), expected)
  assert.deepEqual(
    (await readAll(bus, 980)).map((r) => r.offset),
    [980, ...Array.from({ length: 19 }, (_, i) => 981 + i)],
  )
  assert.deepEqual((await bus.publish([record('0', 'next', start)]))[0]?.offset, 1_000)
})

test('drops tombstones a day after they were written, and keeps the end even when nothing is left', async (t) => {
  const { reopen } = await open(t)
  let now = start
  let bus = await reopen(() => now)
  await bus.ensureTopics([{ name: 't', partitions: 1, retentionMs: null }])
  const filler = 'x'.repeat(1_000)
  await bus.publish(Array.from({ length: 100 }, (_, i) => record(`k${i % 4}`, filler, start)))
  await bus.publish([0, 1, 2, 3].map((i) => record(`k${i}`, null, start)))
  await bus.maintain()
  assert.deepEqual(
    (await readAll(bus)).map((r) => [r.offset, r.value]),
    [100, 101, 102, 103].map((offset) => [offset, null]),
  )
  now += day + 1
  bus = await reopen(() => now)
  await bus.maintain()
  assert.deepEqual(await readAll(bus), [])
  bus = await reopen(() => now)
  assert.deepEqual(await bus.partitions('t'), [{ topic: 't', partition: 0, start: 0, end: 104 }])
  assert.deepEqual((await bus.publish([record('k0', 'back', now)]))[0]?.offset, 104)
})

test('a tail that reads while the log is compacted sees the newest of every key', async (t) => {
  const { reopen } = await open(t)
  const bus = await reopen()
  await bus.ensureTopics([{ name: 't', partitions: 1, retentionMs: null }])
  const newest = new Map<string, string>()
  const tail = await bus.tail({
    topic: 't',
    from: 'start',
    onRecords: (records) => {
      for (const r of records)
        newest.set(
          r.key ?? '',
          Buffer.from(r.value ?? [])
            .toString()
            .trim(),
        )
    },
  })
  const offsets: number[] = []
  for (let round = 0; round < 30; round++) {
    const published = bus.publish(Array.from({ length: 50 }, (_, key) => record(`k${key}`, `${round}`.padEnd(500), start)))
    await Promise.all([published, bus.maintain()])
    offsets.push(...(await published).map((p) => p.offset))
  }
  assert.deepEqual(
    offsets,
    offsets.map((_, i) => i),
  )
  const last = await bus.publish([record('last', 'x', start)])
  assert.equal(last[0]?.offset, 1_500)
  while (!newest.has('last')) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(newest.size, 51)
  for (let key = 0; key < 50; key++) assert.equal(newest.get(`k${key}`), '29')
  await tail.close()
})

test('lets every record of a compacted topic stay as long as the topic says', async (t) => {
  const { reopen } = await open(t)
  let now = start
  const bus = await reopen(() => now)
  await bus.ensureTopics([{ name: 't', partitions: 1, retentionMs: null, minCompactionLagMs: 2 * day }])
  // Ten versions of one key, two a day, each large enough to be worth a compaction.
  for (let i = 0; i < 10; i++) {
    now = start + (i * day) / 2
    await bus.publish([record('k', String(i).repeat(100_000), now)])
    await bus.maintain()
  }
  // On day 4.5: what came before day 2.5 (0 to 4) is compacted to its newest, 4; the rest stays.
  assert.deepEqual(
    (await readAll(bus)).map((r) => r.offset),
    [4, 5, 6, 7, 8, 9],
  )
})

test('adopts a topic that an earlier version made: what it has keeps its times, what comes gets the log’s', async (t) => {
  const { reopen } = await open(t)
  const topic = { name: 't', partitions: 1, retentionMs: 7 * day }
  let bus = await reopen(() => start)
  await bus.ensureTopics([topic])
  await bus.publish([record(null, 'old', 1)])
  bus = await reopen(() => start + day)
  assert.equal((await bus.planTopics([{ ...topic, timestamps: 'append' }]))[0]?.state, 'same')
  await bus.ensureTopics([{ ...topic, timestamps: 'append' }])
  await bus.publish([record(null, 'new', 2)])
  bus = await reopen(() => start + 2 * day)
  await bus.publish([record(null, 'newer', 3)])
  assert.deepEqual(
    (await readAll(bus)).map((r) => r.timestamp),
    [1, start + day, start + 2 * day],
  )
})
