import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { BusError } from '../../bus/errors.ts'
import { partitionOf } from '../../bus/partitioner.ts'
import type { Batch, BusRecord, Consumer, ConsumerOptions, EventBus, OutgoingRecord } from '../../bus/port.ts'
import { until } from '../bus/until.ts'

/** A log that can be opened, closed and opened again. */
export interface BusFixture {
  open(): Promise<EventBus>
  dispose(): Promise<void>
}

// Recent, since brokers delete what is older than a topic keeps.
const time = Date.now() - 7_200_000
const hour = 3_600_000

/** What every adapter promises. `factory` makes one empty log for the whole suite; each test has its own topics. */
export function busContract(name: string, factory: () => Promise<BusFixture>): void {
  describe(`bus contract: ${name}`, () => {
    let fixture: BusFixture
    let bus: EventBus
    const consumers: Consumer[] = []

    before(async () => {
      fixture = await factory()
      bus = await fixture.open()
    })
    after(async () => {
      await bus?.close()
      await fixture?.dispose()
    })

    async function makeTopic(partitions: number, retentionMs: number | null = 7 * 24 * hour): Promise<string> {
      const topic = `t${randomBytes(6).toString('hex')}`
      await bus.ensureTopics([{ name: topic, partitions, retentionMs }])
      return topic
    }

    async function consume(options: ConsumerOptions): Promise<Consumer> {
      const consumer = await bus.consume(options)
      consumers.push(consumer)
      return consumer
    }

    async function readAll(topic: string, partition = 0, from = 0): Promise<BusRecord[]> {
      const found: BusRecord[] = []
      for await (const records of bus.read(topic, partition, from)) found.push(...records.map(copy))
      return found
    }

    test('creates topics once, and says how one that exists differs', async () => {
      const topic = await makeTopic(2)
      await bus.ensureTopics([{ name: topic, partitions: 2, retentionMs: 7 * 24 * hour }])
      await assert.rejects(bus.ensureTopics([{ name: topic, partitions: 3, retentionMs: 7 * 24 * hour }]), (error) =>
        isBusError(error, 'TOPIC_MISMATCH', /3/),
      )
      await assert.rejects(bus.ensureTopics([{ name: topic, partitions: 2, retentionMs: null }]), (error) =>
        isBusError(error, 'TOPIC_MISMATCH', /null/),
      )
      await assert.rejects(bus.publish([record('never-created', 'a')]), (error) => isBusError(error, 'UNKNOWN_TOPIC'))
      await assert.rejects(bus.publish([{ ...record(topic, 'a'), partition: 7 }]), (error) => isBusError(error, 'UNKNOWN_PARTITION'))
    })

    test('keeps the order of a partition, with offsets dense from 0, and positions in the order given', async () => {
      const topic = await makeTopic(3)
      const published = await Promise.all(
        Array.from({ length: 20 }, (_, call) =>
          bus.publish(Array.from({ length: 30 }, (_, i) => record(topic, `key-${i % 7}`, `${call}/${i}`))),
        ),
      )
      let total = 0
      for (let partition = 0; partition < 3; partition++) {
        const records = await readAll(topic, partition)
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
        (await bus.partitions(topic)).map((p) => p.start),
        [0, 0, 0],
      )
      assert.equal(
        (await bus.partitions(topic)).reduce((sum, p) => sum + p.end, 0),
        600,
      )
    })

    test('brings back keys, values, headers and times as they were, hostile ones too', async () => {
      const topic = await makeTopic(1)
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
      await bus.publish(records)
      const back = await readAll(topic)
      assert.deepEqual(
        back.map(plain),
        records.map((r, offset) => plain({ ...r, partition: 0, offset })),
      )
    })

    test('takes values up to 1 MiB and refuses what is larger or malformed', async () => {
      const topic = await makeTopic(1)
      const large = randomBytes(1_048_576)
      await bus.publish([{ ...record(topic, 'a'), value: large }, record(topic, 'b'), { ...record(topic, 'c'), value: large }])
      const back = await readAll(topic)
      assert.deepEqual(
        back.map((r) => r.value?.length),
        [1_048_576, 5, 1_048_576],
      )
      assert.ok(large.equals(back[2]?.value ?? new Uint8Array()))
      await assert.rejects(bus.publish([record(topic, 'x'), { ...record(topic, 'a'), value: new Uint8Array(1_048_577) }]), (error) =>
        isBusError(error, 'TOO_LARGE'),
      )
      await assert.rejects(bus.publish([{ ...record(topic, 'k'.repeat(5_000)) }]), (error) => isBusError(error, 'TOO_LARGE'))
      await assert.rejects(bus.publish([{ ...record(topic, 'a'), headers: { a: 'v'.repeat(40_000) } }]), (error) =>
        isBusError(error, 'TOO_LARGE'),
      )
      for (const timestamp of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
        await assert.rejects(bus.publish([{ ...record(topic, 'a'), timestamp }]), (error) => isBusError(error, 'INVALID_RECORD'))
      }
      assert.equal((await bus.partitions(topic))[0]?.end, 3, 'a refused publish leaves nothing')
    })

    test('reads from an offset, up to an offset, and from a time', async () => {
      const topic = await makeTopic(2)
      // Times 0, 10, 5, 30, 20, 40 minutes: the first at or after 20 minutes is the fourth.
      const minutes = [0, 10, 5, 30, 20, 40]
      await bus.publish(minutes.map((m) => ({ ...record(topic, null, String(m)), timestamp: time + m * 60_000, partition: 0 })))
      const some: string[] = []
      for await (const records of bus.read(topic, 0, 2, 5)) some.push(...records.map((r) => text(r.value)))
      assert.deepEqual(some, ['5', '30', '20'])
      assert.deepEqual(
        await bus.offsetsAt(topic, time + 20 * 60_000),
        new Map([
          [0, 3],
          [1, 0],
        ]),
      )
      assert.deepEqual(
        await bus.offsetsAt(topic, time),
        new Map([
          [0, 0],
          [1, 0],
        ]),
      )
      assert.deepEqual(
        await bus.offsetsAt(topic, time + hour),
        new Map([
          [0, 6],
          [1, 0],
        ]),
      )
      assert.deepEqual(await readAll(topic, 1), [])
      assert.deepEqual(await readAll(topic, 0, 6), [])
    })

    test('resumes at the committed offset, across closing and opening the log', async () => {
      const topic = await makeTopic(1)
      const group = `g-${topic}`
      await bus.publish(numbered(topic, 0, 10))
      const first: number[] = []
      const committed = Promise.withResolvers<void>()
      await consume({
        group,
        topics: [topic],
        onBatch: async ({ records }, { commit }) => {
          first.push(...records.map((r) => r.offset))
          if (first.length < 10) return
          await commit(6)
          committed.resolve()
        },
      })
      await committed.promise
      assert.deepEqual(first, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
      await bus.close()
      bus = await fixture.open()
      await bus.publish(numbered(topic, 10, 2))
      const second = await collect(bus, { group, topics: [topic] }, 6)
      assert.deepEqual(
        second.map((r) => text(r.value)),
        ['6', '7', '8', '9', '10', '11'],
      )
      const states = (await bus.groups()).filter((state) => state.group === group)
      assert.deepEqual(states, [{ group, topic, partition: 0, committed: 6 }])
    })

    test('begins where onAssigned says, else at the start or the end', async () => {
      const topic = await makeTopic(1)
      await bus.publish(numbered(topic, 0, 8))
      const asked: [string, number][] = []
      const onAssigned = async (name: string, partition: number): Promise<number> => {
        asked.push([name, partition])
        return 5
      }
      assert.deepEqual(
        (await collect(bus, { group: `g1-${topic}`, topics: [topic], onAssigned }, 3)).map((r) => r.offset),
        [5, 6, 7],
      )
      assert.deepEqual(asked, [[topic, 0]])
      assert.equal((await collect(bus, { group: `g2-${topic}`, topics: [topic] }, 8)).length, 8)
      const latest: number[] = []
      const ready = Promise.withResolvers<void>()
      await consume({
        group: `g3-${topic}`,
        topics: [topic],
        from: 'latest',
        onAssigned: async () => {
          ready.resolve()
          return undefined
        },
        onBatch: async ({ records }) => void latest.push(...records.map((r) => r.offset)),
      })
      await ready.promise
      // The broker decides where the end is some moments after the assignment: publish until one arrives.
      await until('a record after the end', async () => {
        await bus.publish(numbered(topic, 8, 1))
        return latest.length > 0
      })
      assert.ok(Math.min(...latest) >= 8)
    })

    test('fetches no next batch before the handler is done with the last', async () => {
      const topic = await makeTopic(1)
      await bus.publish(numbered(topic, 0, 50))
      let running = 0
      let most = 0
      const sizes: number[] = []
      const gate = Promise.withResolvers<void>()
      const entered = Promise.withResolvers<void>()
      const all = Promise.withResolvers<void>()
      let seen = 0
      await consume({
        group: `g-${topic}`,
        topics: [topic],
        maxBatch: 10,
        onBatch: async ({ records, end }) => {
          running++
          most = Math.max(most, running)
          sizes.push(records.length)
          assert.ok(end >= 50)
          entered.resolve()
          await gate.promise
          seen += records.length
          running--
          if (seen === 60) all.resolve()
        },
      })
      await entered.promise
      await bus.publish(numbered(topic, 50, 10))
      // Nothing more may come while the first waits, however long: give it a while to go wrong.
      await delay(150)
      assert.deepEqual(sizes, [10])
      gate.resolve()
      await all.promise
      assert.equal(most, 1)
      assert.ok(sizes.every((size) => size <= 10))
    })

    test('delivers a batch again when its handler throws, and skips nothing', async () => {
      const topic = await makeTopic(1)
      await bus.publish(numbered(topic, 0, 6))
      const deliveries: number[][] = []
      const errors: unknown[] = []
      const done = Promise.withResolvers<void>()
      await consume({
        group: `g-${topic}`,
        topics: [topic],
        maxBatch: 3,
        onBatch: async ({ records }, { commit }) => {
          deliveries.push(records.map((r) => r.offset))
          if (deliveries.length <= 2) throw new Error('not today')
          const last = records.at(-1)?.offset ?? 0
          await commit(last + 1)
          if (last === 5) done.resolve()
        },
        onError: (error) => errors.push(error),
      })
      await done.promise
      assert.deepEqual(deliveries.slice(0, 3), [deliveries[0], deliveries[0], deliveries[0]])
      const accepted = deliveries.slice(2).flat()
      assert.deepEqual(accepted, [0, 1, 2, 3, 4, 5])
      assert.equal(errors.filter((error) => error instanceof Error && error.message === 'not today').length, 2)
    })

    test('hands each partition to one member at a time as members come and go, and loses nothing', async () => {
      const topic = await makeTopic(4)
      const group = `g-${topic}`
      const handled = Array.from({ length: 4 }, () => new Set<number>())
      const holders = new Map<number, string>()
      const inside = new Map<number, string>()
      const faults: string[] = []
      const member = (id: string): ConsumerOptions => ({
        group,
        topics: [topic],
        maxBatch: 20,
        onAssigned: async (_, partition) => {
          if (holders.has(partition)) faults.push(`${id} got ${partition} while ${holders.get(partition)} has it`)
          holders.set(partition, id)
          return undefined
        },
        onRevoked: async (_, partition) => {
          if (holders.get(partition) !== id) faults.push(`${id} lost ${partition}, which ${holders.get(partition)} has`)
          if (inside.get(partition) === id) faults.push(`${id} lost ${partition} while handling it`)
          holders.delete(partition)
        },
        onBatch: async ({ partition, records }: Batch, { commit, signal }) => {
          if (inside.has(partition)) faults.push(`${id} and ${inside.get(partition)} both handle ${partition}`)
          inside.set(partition, id)
          try {
            await delay(2)
            if (signal.aborted) return
            for (const r of records) handled[partition]?.add(r.offset)
            await commit((records.at(-1)?.offset ?? 0) + 1)
          } finally {
            inside.delete(partition)
          }
        },
      })
      let published = 0
      const more = async (): Promise<void> => {
        await bus.publish(Array.from({ length: 40 }, (_, i) => ({ ...record(topic, null, 'x'), partition: i % 4 })))
        published += 40
      }
      await more()
      const shares = (): Map<string, number> =>
        new Map(Object.entries(Object.groupBy(holders.values(), (id) => id)).map(([id, held]) => [id, held?.length ?? 0]))
      const a = await consume(member('a'))
      await until('a has all four', () => shares().get('a') === 4)
      const b = await consume(member('b'))
      await until('a and b have two each', async () => {
        await more()
        return shares().get('a') === 2 && shares().get('b') === 2
      })
      await a.close()
      await until('b has all four', async () => {
        await more()
        return shares().get('b') === 4
      })
      await more()
      await until('all is handled', () => handled.reduce((sum, offsets) => sum + offsets.size, 0) === published)
      await b.close()
      assert.deepEqual([...holders], [])
      assert.deepEqual(faults, [])
    })

    test('tails from the start, from the end and from given offsets', async () => {
      const topic = await makeTopic(2)
      await bus.publish([...numbered(topic, 0, 5, 0), ...numbered(topic, 5, 5, 1)])
      const seen = { start: [] as string[], end: [] as string[], given: [] as string[] }
      const caught = { start: 0, end: 0, given: 0 }
      const froms = {
        start: 'start',
        end: 'end',
        given: new Map([
          [0, 3],
          [1, 5],
        ]),
      } as const
      for (const from of ['start', 'end', 'given'] as const) {
        consumers.push(
          await bus.tail({
            topic,
            from: froms[from],
            onRecords: (records) => seen[from].push(...records.map((r) => `${r.partition}/${text(r.value)}`)),
            onCaughtUp: () => void caught[from]++,
          }),
        )
      }
      await until('all three have caught up', () => caught.start + caught.end + caught.given === 3)
      assert.equal(seen.start.length, 10)
      assert.deepEqual(seen.end, [])
      assert.deepEqual(seen.given, ['0/3', '0/4'])
      await bus.publish(numbered(topic, 10, 2, 1))
      await until('all three saw the news', () => seen.start.length === 12 && seen.end.length === 2 && seen.given.length === 4)
      assert.deepEqual(seen.end, ['1/10', '1/11'])
      assert.deepEqual(seen.given, ['0/3', '0/4', '1/10', '1/11'])
      assert.deepEqual(caught, { start: 1, end: 1, given: 1 })
      assert.deepEqual(
        (await bus.groups()).filter((state) => state.topic === topic),
        [],
        'a tail is no group',
      )
    })

    test('tails an empty topic, and catches up at once', async () => {
      const topic = await makeTopic(2, null)
      const caughtUp = Promise.withResolvers<void>()
      consumers.push(await bus.tail({ topic, from: 'start', onRecords: () => {}, onCaughtUp: caughtUp.resolve }))
      await caughtUp.promise
      await assert.rejects(bus.publish([record(topic, null)]), (error) => isBusError(error, 'INVALID_RECORD'))
    })

    test('closes consumers only after their handlers', async () => {
      const topic = await makeTopic(1)
      await bus.publish(numbered(topic, 0, 1))
      const entered = Promise.withResolvers<void>()
      const gate = Promise.withResolvers<void>()
      let finished = false
      let aborted = false
      const consumer = await bus.consume({
        group: `g-${topic}`,
        topics: [topic],
        onBatch: async (_, { commit, signal }) => {
          entered.resolve()
          await gate.promise
          aborted = signal.aborted
          await commit(1)
          finished = true
        },
      })
      await entered.promise
      const closing = consumer.close()
      gate.resolve()
      await closing
      assert.ok(finished && aborted)
      assert.equal((await bus.groups()).find((state) => state.group === `g-${topic}`)?.committed, 1)
    })

    after(async () => {
      await Promise.all(consumers.map((consumer) => consumer.close()))
    })
  })
}

/** Consumes until `count` records came, then leaves the group. */
async function collect(bus: EventBus, options: Omit<ConsumerOptions, 'onBatch'>, count: number): Promise<BusRecord[]> {
  const found: BusRecord[] = []
  const enough = Promise.withResolvers<void>()
  const consumer = await bus.consume({
    ...options,
    onBatch: async ({ records }) => {
      found.push(...records.map(copy))
      if (found.length >= count) enough.resolve()
    },
  })
  await enough.promise
  await consumer.close()
  return found
}

function record(topic: string, key: string | null, value = 'value'): OutgoingRecord {
  return { topic, key, value: Buffer.from(value), headers: { 'content-type': 'text/plain' }, timestamp: time }
}

function numbered(topic: string, from: number, count: number, partition = 0): OutgoingRecord[] {
  return Array.from({ length: count }, (_, i) => ({ ...record(topic, null, String(from + i)), partition }))
}

function text(value: Uint8Array | null): string {
  return Buffer.from(value ?? []).toString()
}

function copy(r: BusRecord): BusRecord {
  const { topic, partition, offset, key, value, headers, timestamp } = r
  return { topic, partition, offset, key, value: value === null ? null : Buffer.from(value), headers, timestamp }
}

function plain(r: BusRecord): unknown {
  return { ...copy(r), value: r.value === null ? null : Buffer.from(r.value).toString('base64'), headers: Object.entries(r.headers).sort() }
}

function byCallThenIndex(a: string, b: string): number {
  const [ca = 0, ia = 0] = a.split('/').map(Number)
  const [cb = 0, ib = 0] = b.split('/').map(Number)
  return ca - cb || ia - ib
}

function isBusError(error: unknown, code: string, message = /./): boolean {
  assert.ok(error instanceof BusError, String(error))
  assert.equal(error.code, code)
  assert.match(error.message, message)
  return true
}
