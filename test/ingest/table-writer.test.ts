import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import pino from 'pino'
import { type Claim, type Entry, TableWriter, type WriterOptions } from '../../ingest/table-writer.ts'
import { until } from '../bus/until.ts'
import { idOf } from '../store/story.ts'
import { type Fault, MemoryStore } from './fakes.ts'

const claimOf = (signal: AbortSignal): Claim => ({ signal, held: () => true })
const never = claimOf(new AbortController().signal)

function entry(name: string): Entry {
  const id = idOf(name)
  return { id, row: { id, name }, record: { topic: 'flows', partition: 0, offset: 0, key: null, value: null, headers: {}, timestamp: 0 } }
}

function writerOn(store: MemoryStore, options: Partial<WriterOptions> = {}) {
  const told = { stored: 0, duplicates: 0, troubles: 0, letGo: 0, rejected: [] as string[] }
  const writer = new TableWriter({
    table: 'flows',
    store,
    log: pino({ level: 'silent' }),
    maxRows: 1_000,
    maxBytes: 1 << 20,
    maxWaitMs: 0,
    onAttempt: () => {},
    onStored: (rows, duplicates) => {
      told.stored += rows
      told.duplicates += duplicates
    },
    onTrouble: (error) => {
      if (error !== null) told.troubles++
    },
    onLetGo: () => {
      told.letGo++
    },
    onRejected: async ({ id }) => {
      told.rejected.push(id)
    },
    ...options,
  })
  return { writer, told }
}

describe('table writer', () => {
  it('stores an event once that comes twice in a batch, in the next, or from another writer', async () => {
    const store = new MemoryStore()
    const { writer, told } = writerOn(store)
    await writer.add([entry('a'), entry('b'), entry('a')], false, never)
    await writer.add([entry('b'), entry('c')], false, never)
    await writerOn(store).writer.add([entry('a'), entry('c')], false, never)
    assert.deepEqual(
      store.ids('flows'),
      ['a', 'b', 'c'].map((name) => idOf(name)),
    )
    assert.deepEqual([told.stored, told.duplicates], [3, 2])
  })

  it('takes ids as equal whatever the case of their letters', async () => {
    const store = new MemoryStore()
    const { writer } = writerOn(store)
    await writer.add([entry('a'), { ...entry('a'), id: idOf('a').toUpperCase() }], false, never)
    await writer.add([{ ...entry('a'), id: idOf('a').toUpperCase() }], false, never)
    assert.deepEqual(store.ids('flows'), [idOf('a')])
  })

  it('stores what is stored in part, or stored without an answer, neither twice nor never', async () => {
    for (const fault of ['refused', 'answer-lost', 'half', 'lookup-fails'] as const) {
      const store = new MemoryStore()
      store.faults = [fault, fault]
      const { writer, told } = writerOn(store)
      await writer.add([entry('a'), entry('b'), entry('c')], false, never)
      assert.deepEqual(store.ids('flows').toSorted(), ['a', 'b', 'c'].map((name) => idOf(name)).toSorted(), fault)
      assert.ok(told.troubles > 0, fault)
    }
  })

  it('sets aside the rows that the engine cannot read, and stores the others', async () => {
    const store = new MemoryStore()
    store.unreadable = (row) => row.name === 'bad' || row.name === 'worse'
    const { writer, told } = writerOn(store)
    await writer.add([entry('a'), entry('bad'), entry('b'), entry('c'), entry('worse')], false, never)
    assert.deepEqual(
      store.ids('flows'),
      ['a', 'b', 'c'].map((name) => idOf(name)),
    )
    assert.deepEqual(told.rejected, [idOf('bad'), idOf('worse')])
  })

  it('joins what waits into one insert, up to its most', async () => {
    const store = new MemoryStore()
    const { writer } = writerOn(store, { maxRows: 4 })
    await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map((name) => writer.add([entry(name)], false, never)))
    assert.deepEqual(store.inserts, [4, 2])
  })

  it('goes at once after a silence, spaces out what follows, and hurries when there is a backlog', async () => {
    const store = new MemoryStore()
    const { writer } = writerOn(store, { maxWaitMs: 60_000 })
    await writer.add([entry('a')], false, never)
    const waiting = writer.add([entry('b')], false, never)
    await Promise.all([waiting, writer.add([entry('c')], true, never)])
    assert.deepEqual(store.inserts, [1, 2])
  })

  it('lets go of whoever is told to stop while the store is away, and keeps the rest', async () => {
    const store = new MemoryStore()
    store.faults = Array.from({ length: 3 }, () => 'refused')
    const stopping = new AbortController()
    const { writer } = writerOn(store, { onTrouble: () => stopping.abort() })
    const first = writer.add([entry('a')], false, claimOf(stopping.signal))
    const second = writer.add([entry('b')], false, never)
    await assert.rejects(first, { name: 'AbortError' })
    await second
    assert.deepEqual(store.ids('flows'), [idOf('b')])
  })

  it('says that nothing waits any more when everyone was told to stop', async () => {
    const store = new MemoryStore()
    store.faults = Array.from({ length: 9 }, () => 'refused')
    const stopping = new AbortController()
    const { writer, told } = writerOn(store, { onTrouble: () => stopping.abort() })
    await assert.rejects(writer.add([entry('a')], false, claimOf(stopping.signal)), { name: 'AbortError' })
    assert.deepEqual([told.letGo, store.ids('flows')], [1, []])
    store.faults = []
    await writer.add([entry('b')], false, never)
    assert.deepEqual([told.letGo, store.ids('flows')], [1, [idOf('b')]])
  })

  it('hands over soon what a hanging store keeps, and begins no other insert of it', async () => {
    const store = new MemoryStore()
    const hanging = Promise.withResolvers<void>()
    const known = store.known.bind(store)
    store.known = async (table, ids) => {
      await hanging.promise
      return known(table, ids)
    }
    const stopping = new AbortController()
    const { writer, told } = writerOn(store)
    const adding = writer.add([entry('a')], false, claimOf(stopping.signal))
    stopping.abort()
    await assert.rejects(adding, { name: 'AbortError' })
    hanging.resolve()
    await until('it has given up', () => told.letGo === 1)
    assert.deepEqual(store.ids('flows'), [])
  })

  it('writes nothing while its partition may be another’s, and does not blame the store', async () => {
    const store = new MemoryStore()
    const { writer, told } = writerOn(store)
    let asked = 0
    await writer.add([entry('a')], false, { signal: never.signal, held: () => ++asked > 3 })
    assert.deepEqual([asked, told.troubles, store.ids('flows')], [4, 0, [idOf('a')]])
  })

  it('lets an insert whose end is unknown end, before it stores other rows in its place', async () => {
    const store = new MemoryStore()
    const order: string[] = []
    store.settled = async () => void order.push('settled')
    const insert = store.insert.bind(store)
    store.insert = async (table, rows, token, onSend) => {
      order.push(`insert ${rows.length}`)
      return insert(table, rows, token, onSend)
    }
    const stopping = new AbortController()
    const { writer } = writerOn(store, { onTrouble: (error) => error !== null && stopping.abort(), maxWaitMs: 20 })
    // The next two come within the pause after it, and so go into one insert.
    await writer.add([entry('first')], false, never)
    store.faults = ['refused']
    const [gone] = await Promise.allSettled([
      writer.add([entry('a')], false, claimOf(stopping.signal)),
      writer.add([entry('b')], false, never),
    ])
    assert.equal(gone.status, 'rejected')
    assert.deepEqual(order, ['insert 1', 'insert 2', 'settled', 'insert 1'])
    assert.deepEqual(store.ids('flows'), [idOf('first'), idOf('b')])
  })

  it('whatever fails and whatever comes again, each id is stored once', async () => {
    const fault = fc.constantFrom<Fault>('none', 'refused', 'answer-lost', 'half', 'lookup-fails')
    const batch = fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 1, maxLength: 12 })
    await fc.assert(
      fc.asyncProperty(fc.array(batch, { minLength: 1, maxLength: 8 }), fc.array(fault, { maxLength: 4 }), async (batches, faults) => {
        const store = new MemoryStore()
        store.faults = [...faults]
        const { writer } = writerOn(store, { maxRows: 10 })
        await Promise.all(
          batches.map((numbers) =>
            writer.add(
              numbers.map((number) => entry(String(number))),
              false,
              never,
            ),
          ),
        )
        const wanted = [...new Set(batches.flat())].map((number) => idOf(String(number)))
        assert.deepEqual(store.ids('flows').toSorted(), wanted.toSorted())
      }),
      { numRuns: 20, seed: 7 },
    )
  })
})
