import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { partitionOf } from '../../../bus/partitioner.ts'
import type { BusRecord, OutgoingRecord } from '../../../bus/port.ts'
import { until } from '../../bus/until.ts'
import { copy, hour, isBusError, record, type Suite, text, time } from './suite.ts'

/** Topics, publishing and reading back. */
export function logContract(open: () => Suite): void {
  test('creates topics once, and says how one that exists differs', async () => {
    const suite = open()
    const topic = await suite.makeTopic(2)
    await suite.bus.ensureTopics([{ name: topic, partitions: 2, retentionMs: 7 * 24 * hour }])
    await assert.rejects(suite.bus.ensureTopics([{ name: topic, partitions: 3, retentionMs: 7 * 24 * hour }]), (error) =>
      isBusError(error, 'TOPIC_MISMATCH', /3/),
    )
    await assert.rejects(suite.bus.ensureTopics([{ name: topic, partitions: 2, retentionMs: null }]), (error) =>
      isBusError(error, 'TOPIC_MISMATCH', /compact|null/),
    )
    await assert.rejects(suite.bus.publish([record('never-created', 'a')]), (error) => isBusError(error, 'UNKNOWN_TOPIC'))
    await assert.rejects(suite.bus.publish([{ ...record(topic, 'a'), partition: 7 }]), (error) => isBusError(error, 'UNKNOWN_PARTITION'))
  })

  test('keeps the order of a partition, with offsets dense from 0, and positions in the order given', async () => {
    const suite = open()
    const topic = await suite.makeTopic(3)
    const published = await Promise.all(
      Array.from({ length: 20 }, (_, call) =>
        suite.bus.publish(Array.from({ length: 30 }, (_, i) => record(topic, `key-${i % 7}`, `${call}/${i}`))),
      ),
    )
    let total = 0
    for (let partition = 0; partition < 3; partition++) {
      const records = await suite.readAll(topic, partition)
      total += records.length
      assert.deepEqual(
        records.map((r) => r.offset),
        records.map((_, i) => i),
      )
      for (const { key, value, offset } of records) {
        assert.equal(partitionOf(key ?? '', 3), partition)
        const [call, i] = text(value).split('/').map(Number)
        assert.deepEqual(published[call ?? -1]?.[i ?? -1], { topic, partition, offset })
      }
      // Each call's records keep their order, and calls were made in order.
      assert.deepEqual(
        records.map((r) => text(r.value)),
        records.map((r) => text(r.value)).toSorted(byCallThenIndex),
      )
    }
    assert.equal(total, 600)
    assert.deepEqual(
      (await suite.bus.partitions(topic)).map((p) => p.start),
      [0, 0, 0],
    )
    assert.equal(
      (await suite.bus.partitions(topic)).reduce((sum, p) => sum + p.end, 0),
      600,
    )
  })

  test('brings back keys, values, headers and times as they were, hostile ones too', async () => {
    const suite = open()
    const topic = await suite.makeTopic(1)
    const records: OutgoingRecord[] = [
      record(topic, '', ''),
      record(topic, '__proto__', 'constructor'),
      record(topic, 'nul\0 tab\t newline\n 😀 \u202e', '\0'),
      { ...record(topic, null), headers: { ['__proto__']: 'x', constructor: 'y', '': 'empty name', 'a b': '', ü: '\r\nset-cookie: 1' } },
      { ...record(topic, 'k'.repeat(1_000)), headers: { long: 'v'.repeat(20_000) } },
      { ...record(topic, 'binary'), value: Uint8Array.from({ length: 256 }, (_, i) => i) },
      { ...record(topic, 'tombstone'), value: null },
      { ...record(topic, 'empty'), value: new Uint8Array(0), timestamp: 0 },
    ]
    await suite.bus.publish(records)
    const back = await suite.readAll(topic)
    assert.deepEqual(
      back.map(plain),
      records.map((r, offset) => plain({ ...r, partition: 0, offset })),
    )
  })

  test('takes values up to 1 MiB and refuses what is larger or malformed', async () => {
    const suite = open()
    const topic = await suite.makeTopic(1)
    const large = randomBytes(1_048_576)
    await suite.bus.publish([{ ...record(topic, 'a'), value: large }, record(topic, 'b'), { ...record(topic, 'c'), value: large }])
    const back = await suite.readAll(topic)
    assert.deepEqual(
      back.map((r) => r.value?.length),
      [1_048_576, 5, 1_048_576],
    )
    assert.ok(large.equals(back[2]?.value ?? new Uint8Array()))
    await assert.rejects(suite.bus.publish([record(topic, 'x'), { ...record(topic, 'a'), value: new Uint8Array(1_048_577) }]), (error) =>
      isBusError(error, 'TOO_LARGE'),
    )
    await assert.rejects(suite.bus.publish([{ ...record(topic, 'k'.repeat(5_000)) }]), (error) => isBusError(error, 'TOO_LARGE'))
    await assert.rejects(suite.bus.publish([{ ...record(topic, 'a'), headers: { a: 'v'.repeat(40_000) } }]), (error) =>
      isBusError(error, 'TOO_LARGE'),
    )
    for (const timestamp of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      await assert.rejects(suite.bus.publish([{ ...record(topic, 'a'), timestamp }]), (error) => isBusError(error, 'INVALID_RECORD'))
    }
    assert.equal((await suite.bus.partitions(topic))[0]?.end, 3, 'a refused publish leaves nothing')
  })

  test('refuses everything once it is closed', async () => {
    const suite = open()
    const topic = await suite.makeTopic(1)
    const closed = suite.bus
    await suite.reopen()
    await closed.close()
    const calls: (() => Promise<unknown>)[] = [
      () => closed.publish([record(topic, 'a')]),
      () => closed.partitions(topic),
      () => closed.groups(),
      () => closed.ensureTopics([]),
      () => closed.consume({ group: 'g', topics: [topic], onBatch: async () => {} }),
      () => closed.tail({ topic, from: 'start', onRecords: () => {} }),
      () => closed.read(topic, 0, 0)[Symbol.asyncIterator]().next(),
    ]
    for (const call of calls) await assert.rejects(call, (error) => isBusError(error, 'BUS_CLOSED'))
  })

  test('reads from an offset, up to an offset, and from a time', async () => {
    const suite = open()
    const topic = await suite.makeTopic(2)
    // Times 0, 10, 5, 30, 20, 40 minutes: the first at or after 20 minutes is the fourth.
    const minutes = [0, 10, 5, 30, 20, 40]
    await suite.bus.publish(minutes.map((m) => ({ ...record(topic, null, String(m)), timestamp: time + m * 60_000, partition: 0 })))
    const some: string[] = []
    for await (const records of suite.bus.read(topic, 0, 2, 5)) some.push(...records.map((r) => text(r.value)))
    assert.deepEqual(some, ['5', '30', '20'])
    assert.deepEqual(
      await suite.bus.offsetsAt(topic, time + 20 * 60_000),
      new Map([
        [0, 3],
        [1, 0],
      ]),
    )
    assert.deepEqual(
      await suite.bus.offsetsAt(topic, time),
      new Map([
        [0, 0],
        [1, 0],
      ]),
    )
    assert.deepEqual(
      await suite.bus.offsetsAt(topic, time + hour),
      new Map([
        [0, 6],
        [1, 0],
      ]),
    )
    assert.deepEqual(await suite.readAll(topic, 1), [])
    assert.deepEqual(await suite.readAll(topic, 0, 6), [])
  })
}

/** Settings, plans and growth of topics. */
export function topicsContract(open: () => Suite): void {
  test('plans without changing anything', async () => {
    const suite = open()
    const there = await suite.makeTopic(2)
    const missing = `${there}-missing`
    const config = { partitions: 2, retentionMs: 7 * 24 * hour }
    const plans = await suite.bus.planTopics([
      { name: there, ...config },
      { name: there, ...config, partitions: 5 },
      { name: missing, ...config },
    ])
    assert.deepEqual(
      plans.map(({ topic, state }) => [topic, state]),
      [
        [there, 'same'],
        [there, 'differs'],
        [missing, 'missing'],
      ],
    )
    const differing = plans[1]?.settings.filter(({ differs }) => differs)
    assert.deepEqual(differing, [{ name: 'partitions', is: '2', wanted: '5', differs: true }])
    assert.ok(plans[2]?.settings.every(({ is, differs }) => is === null && !differs))
    await assert.rejects(suite.bus.partitions(missing), (error) => isBusError(error, 'UNKNOWN_TOPIC'))
  })

  test('gives records the time of the log where the topic says so', async () => {
    const suite = open()
    const topic = `t${randomBytes(6).toString('hex')}`
    await suite.bus.ensureTopics([{ name: topic, partitions: 1, retentionMs: 7 * 24 * hour, timestamps: 'append' }])
    const before = Date.now()
    await suite.bus.publish([
      { ...record(topic, 'old'), timestamp: 0 },
      record(topic, 'new'),
      { ...record(topic, 'fast'), timestamp: before + hour },
    ])
    const after = Date.now()
    const records = await suite.readAll(topic)
    assert.equal(records.length, 3)
    for (const { timestamp } of records) assert.ok(timestamp >= before && timestamp <= after, String(timestamp))
    assert.deepEqual(await suite.bus.offsetsAt(topic, before), new Map([[0, 0]]))
  })

  test('grows a topic, and its publishers, consumers and tails take up the new partitions', async () => {
    const suite = open()
    const topic = await suite.makeTopic(1)
    const consumed = new Set<number>()
    const tailed = new Set<number>()
    await suite.consume({ group: `g-${topic}`, topics: [topic], onBatch: async ({ partition }) => void consumed.add(partition) })
    suite.adopt(await suite.bus.tail({ topic, from: 'end', onRecords: (some) => void some.forEach((r) => tailed.add(r.partition)) }))
    await suite.bus.growTopic(topic, 3)
    await suite.bus.growTopic(topic, 3)
    await assert.rejects(suite.bus.growTopic(topic, 2), (error) => isBusError(error, 'TOPIC_MISMATCH', /3/))
    assert.equal((await suite.bus.partitions(topic)).length, 3)
    for (const partition of [0, 1, 2]) await suite.bus.publish([{ ...record(topic, 'k'), partition }])
    await until('all partitions are read', () => consumed.size === 3 && tailed.size === 3, 40_000)
    await suite.reopen()
    assert.equal((await suite.bus.partitions(topic)).length, 3)
    assert.equal((await suite.readAll(topic, 2)).length, 1)
  })
}

function plain(r: BusRecord): unknown {
  return { ...copy(r), value: r.value === null ? null : Buffer.from(r.value).toString('base64'), headers: Object.entries(r.headers).sort() }
}

function byCallThenIndex(a: string, b: string): number {
  const [ca = 0, ia = 0] = a.split('/').map(Number)
  const [cb = 0, ib = 0] = b.split('/').map(Number)
  return ca - cb || ia - ib
}
