import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Batch, ConsumerOptions, PartitionControl } from '../../../bus/port.ts'
import { until } from '../../bus/until.ts'
import { collect, numbered, record, type Suite, text } from './suite.ts'

/** Consumer groups. */
export function consumingContract(open: () => Suite): void {
  test('resumes at the committed offset, across closing and opening the log', async () => {
    const suite = open()
    const topic = await suite.makeTopic(1)
    const group = `g-${topic}`
    await suite.bus.publish(numbered(topic, 0, 10))
    const first: number[] = []
    const committed = Promise.withResolvers<void>()
    await suite.consume({
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
    await suite.reopen()
    await suite.bus.publish(numbered(topic, 10, 2))
    const second = await collect(suite.bus, { group, topics: [topic] }, 6)
    assert.deepEqual(
      second.map((r) => text(r.value)),
      ['6', '7', '8', '9', '10', '11'],
    )
    const states = (await suite.bus.groups()).filter((state) => state.group === group)
    assert.deepEqual(states, [{ group, topic, partition: 0, committed: 6 }])
  })

  test('begins where onAssigned says, else at the start or the end', async () => {
    const suite = open()
    const topic = await suite.makeTopic(1)
    await suite.bus.publish(numbered(topic, 0, 8))
    const asked: [string, number][] = []
    const onAssigned = async (name: string, partition: number): Promise<number> => {
      asked.push([name, partition])
      return 5
    }
    assert.deepEqual(
      (await collect(suite.bus, { group: `g1-${topic}`, topics: [topic], onAssigned }, 3)).map((r) => r.offset),
      [5, 6, 7],
    )
    assert.deepEqual(asked, [[topic, 0]])
    assert.equal((await collect(suite.bus, { group: `g2-${topic}`, topics: [topic] }, 8)).length, 8)
    const latest: number[] = []
    const ready = Promise.withResolvers<void>()
    await suite.consume({
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
      await suite.bus.publish(numbered(topic, 8, 1))
      return latest.length > 0
    })
    assert.ok(Math.min(...latest) >= 8)
  })

  test('fetches no next batch before the handler is done with the last', async () => {
    const suite = open()
    const topic = await suite.makeTopic(1)
    await suite.bus.publish(numbered(topic, 0, 50))
    let running = 0
    let most = 0
    const sizes: number[] = []
    const gate = Promise.withResolvers<void>()
    const entered = Promise.withResolvers<void>()
    const all = Promise.withResolvers<void>()
    let seen = 0
    await suite.consume({
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
    await suite.bus.publish(numbered(topic, 50, 10))
    // Nothing more may come while the first waits, however long: give it a while to go wrong.
    await delay(150)
    assert.deepEqual(sizes, [10])
    gate.resolve()
    await all.promise
    assert.equal(most, 1)
    assert.ok(sizes.every((size) => size <= 10))
  })

  test('delivers a batch again when its handler throws, and skips nothing', async () => {
    const suite = open()
    const topic = await suite.makeTopic(1)
    await suite.bus.publish(numbered(topic, 0, 6))
    const deliveries: number[][] = []
    const errors: unknown[] = []
    const done = Promise.withResolvers<void>()
    await suite.consume({
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

  test('lets who was assigned a partition commit before anything comes', async () => {
    const suite = open()
    const topic = await suite.makeTopic(1)
    const group = `g-${topic}`
    await suite.bus.publish(numbered(topic, 0, 8))
    const assigned = Promise.withResolvers<PartitionControl>()
    const consumer = await suite.consume({
      group,
      topics: [topic],
      onAssigned: async (_topic, _partition, control) => {
        assigned.resolve(control)
        return 8
      },
      onBatch: async () => assert.fail('there is nothing left'),
    })
    const control = await assigned.promise
    assert.equal(control.held(), true)
    await control.commit(8)
    const states = async () => (await suite.bus.groups()).filter((state) => state.group === group)
    assert.deepEqual(await states(), [{ group, topic, partition: 0, committed: 8 }])
    await consumer.close()
    assert.equal(control.held(), false)
    assert.equal(control.signal.aborted, true)
    await assert.rejects(control.commit(9), { code: 'PARTITION_LOST' })
  })

  test('hands each partition to one member at a time as members come and go, and loses nothing', async () => {
    const suite = open()
    const topic = await suite.makeTopic(4)
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
      await suite.bus.publish(Array.from({ length: 40 }, (_, i) => ({ ...record(topic, null, 'x'), partition: i % 4 })))
      published += 40
    }
    await more()
    const shares = (): Map<string, number> =>
      new Map(Object.entries(Object.groupBy(holders.values(), (id) => id)).map(([id, held]) => [id, held?.length ?? 0]))
    const a = await suite.consume(member('a'))
    await until('a has all four', () => shares().get('a') === 4)
    const b = await suite.consume(member('b'))
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
  test('closes consumers only after their handlers', async () => {
    const suite = open()
    const topic = await suite.makeTopic(1)
    await suite.bus.publish(numbered(topic, 0, 1))
    const entered = Promise.withResolvers<void>()
    const gate = Promise.withResolvers<void>()
    let finished = false
    let aborted = false
    const consumer = await suite.bus.consume({
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
    assert.equal((await suite.bus.groups()).find((state) => state.group === `g-${topic}`)?.committed, 1)
  })
}
