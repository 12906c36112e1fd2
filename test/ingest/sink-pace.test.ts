import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import pino from 'pino'
import { Registry } from 'prom-client'
import { encode, newEvent } from '../../bus/codec.ts'
import type { BusRecord, ConsumerOptions, EventBus } from '../../bus/port.ts'
import { startSink } from '../../ingest/sink.ts'
import type { Row, TableName } from '../../store/index.ts'
import { flow, idOf, second, start } from '../store/story.ts'
import { MemoryStore } from './fakes.ts'

/** A step of the virtual clock, milliseconds. */
const step = 5

/** Timers and the monotonic clock, moved by hand. */
function virtualTime(t: TestContext) {
  const clock = { now: 0 }
  t.mock.timers.enable({ apis: ['setTimeout'] })
  t.mock.method(performance, 'now', () => clock.now)
  const forward = async () => {
    clock.now += step
    t.mock.timers.tick(step)
    for (let turn = 0; turn < 8; turn++) await nextTurn()
  }
  return { clock, forward }
}

/** Takes `tookMs` for an insert, and knows when each row was stored. */
class SlowStore extends MemoryStore {
  readonly storedAt = new Map<string, number>()
  readonly #tookMs: number

  constructor(tookMs: number) {
    super()
    this.#tookMs = tookMs
  }

  override async insert(table: TableName, rows: readonly Row[], token: string, onSend?: () => void): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, this.#tookMs))
    await super.insert(table, rows, token, onSend)
    for (const { id } of rows) this.storedAt.set(String(id), performance.now())
  }
}

const partitions = 4
/** An event of some partition comes so often, milliseconds. */
const everyMs = 10

/** A sink on four partitions with steady traffic: how late each event of the last 20 s was stored, sorted, and how many inserts it all took. */
async function pace(t: TestContext, tookMs: number) {
  const { clock, forward } = virtualTime(t)
  const store = new SlowStore(tookMs)
  const consumers: ConsumerOptions[] = []
  const bus = {
    consume: async (options: ConsumerOptions) => {
      consumers.push(options)
      return { close: async () => {} }
    },
  } as unknown as EventBus
  const registry = new Registry()
  await startSink({ bus, store, log: pino({ level: 'silent' }), registry, clock: () => clock.now, maxWaitMs: second })
  const [consumer] = consumers
  if (consumer === undefined) throw new Error('the sink does not read')
  const came = new Map<string, number>()
  const lanes = Array.from({ length: partitions }, (_, partition) => ({ partition, records: [] as BusRecord[], next: 0, busy: false }))
  const control = { commit: async () => {}, signal: new AbortController().signal, held: () => true }
  for (; clock.now < 30 * second; await forward()) {
    if (clock.now % everyMs === 0) {
      const lane = lanes[(clock.now / everyMs) % partitions] ?? assert.fail()
      const id = idOf(`event-${clock.now}`)
      const record = encode('flows', newEvent('flow', flow, 'sensor', start, id))
      lane.records.push({ ...record, partition: lane.partition, offset: lane.next + lane.records.length })
      came.set(id, clock.now)
    }
    for (const lane of lanes) {
      if (lane.busy || lane.records.length === 0) continue
      const records = lane.records.splice(0)
      lane.next += records.length
      lane.busy = true
      const batch = { topic: 'flows', partition: lane.partition, records, end: lane.next }
      void consumer.onBatch(batch, control).then(() => {
        lane.busy = false
      })
    }
  }
  // Where the first insert finds only what came by then, the partitions take a few to fall into step.
  const late = [...came]
    .filter(([id, at]) => at >= 10 * second && store.storedAt.has(id))
    .map(([id, at]) => (store.storedAt.get(id) ?? 0) - at)
    .sort((a, b) => a - b)
  return { late, inserts: store.inserts.length }
}

describe('the pace of the sink', () => {
  for (const [tookMs, median, worst, inserts] of [
    // Read for at 0.75 s, inserted at 1 s: events are 0.25 to 1.25 s old then, and 0.2 s older when they are stored.
    [200, 950, 1_500, 31],
    // An insert of 2 s and a pause of 1: events are 0.25 to 3.25 s old when they are sent, and 2 s older.
    [2_000, 3_650, 5_300, 11],
  ] as const) {
    it(`with inserts of ${tookMs} ms: what comes is stored after ${median} ms, and in few inserts`, async (t) => {
      const { late, inserts: made } = await pace(t, tookMs)
      assert.ok(late.length > 1_000, `${late.length} events were stored`)
      const p50 = late[late.length >> 1] ?? 0
      t.diagnostic(`p50 ${p50} ms, worst ${late.at(-1)} ms, ${made} inserts`)
      assert.ok(Math.abs(p50 - median) <= 100, `p50 is ${p50} ms`)
      assert.ok((late.at(-1) ?? 0) <= worst, `the worst is ${late.at(-1)} ms`)
      assert.ok(made <= inserts, `${made} inserts`)
    })
  }
})
