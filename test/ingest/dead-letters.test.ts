import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import pino from 'pino'
import { decode, encode, newEvent } from '../../bus/codec.ts'
import { deadLetterOf } from '../../bus/dead-letter.ts'
import { createEmbeddedBus } from '../../bus/embedded/bus.ts'
import type { BusRecord, EventBus, OutgoingRecord } from '../../bus/port.ts'
import { type Replayer, startDeadLetterReplayer } from '../../ingest/dead-letter-replayer.ts'
import { getDeadLetter, listDeadLetters } from '../../ingest/dead-letters.ts'
import { letterOf } from '../../ingest/unreadable.ts'
import { type CommandOutcome, CordonError, sentHeader, topics } from '../../schemas/index.ts'
import { until } from '../bus/until.ts'
import * as story from '../store/story.ts'

const log = pino({ level: 'silent' })
let directory: string
let bus: EventBus
let now: number
const replayers: Replayer[] = []

beforeEach(async () => {
  now = story.start + story.minute
  directory = await mkdtemp(join(tmpdir(), 'cordon-letters-'))
  bus = await createEmbeddedBus({ path: directory })
  await bus.ensureTopics(Object.values(topics))
})
afterEach(async () => {
  await Promise.all(replayers.splice(0).map((one) => one.close()))
  await bus.close()
  await rm(directory, { recursive: true, force: true })
})

const flowRecord = (over: Partial<OutgoingRecord> = {}): OutgoingRecord => ({
  ...encode('flows', newEvent('flow', story.flow, 'sensor', story.start, story.idOf('flow'))),
  ...over,
})

async function all(topic: string): Promise<BusRecord[]> {
  const records: BusRecord[] = []
  for (const { partition, start } of await bus.partitions(topic)) {
    for await (const some of bus.read(topic, partition, start)) records.push(...some)
  }
  return records
}

/** Puts a record on the bus and gives it up; the letter's id. */
async function giveUp(record: OutgoingRecord, at = now): Promise<string> {
  await bus.publish([record])
  const stored = (await all(record.topic)).at(-1)
  assert.ok(stored !== undefined)
  const letter = letterOf(stored, new CordonError('INVALID_DATA', 'why'), at, 'sink')
  await bus.publish([letter])
  return letter.headers.ce_id ?? ''
}

async function order(letter: string, over: { id?: string; expiresAt?: number } = {}): Promise<string> {
  const id = over.id ?? story.idOf(`order-${letter}`)
  const command = { ...story.command, id, at: now, expiresAt: over.expiresAt ?? now + story.minute }
  const event = newEvent('command', { ...command, order: { kind: 'replay-dead-letter', letter } }, 'console', now)
  await bus.publish([encode('commands', event)])
  return id
}

async function start(): Promise<Replayer> {
  const replayer = await startDeadLetterReplayer({ bus, clock: () => now, log, source: 'ingest-1' })
  replayers.push(replayer)
  return replayer
}

async function outcomes(): Promise<CommandOutcome[]> {
  return (await all('outcomes')).map((record) => {
    const event = decode(record)
    assert.equal(event.kind, 'outcome')
    return event.data as CommandOutcome
  })
}

async function answer(): Promise<CommandOutcome> {
  await start()
  await until('it is answered', async () => (await outcomes()).length === 1)
  const [first] = await outcomes()
  assert.ok(first !== undefined)
  return first
}

describe('dead letters', () => {
  it('are listed the newest, newest last, by topic and time, each once', async () => {
    const ids: string[] = []
    for (let index = 0; index < 8; index++) {
      const topic = index % 2 === 0 ? 'flows' : 'telemetry'
      ids.push(await giveUp(flowRecord({ topic, timestamp: story.start + index }), now + index))
    }
    const [again] = await all('flows')
    assert.ok(again !== undefined)
    await bus.publish([letterOf(again, new Error('again'), now + 9, 'sink')])
    const list = async (filter: Parameters<typeof listDeadLetters>[1]) => (await listDeadLetters(bus, filter)).map(({ id }) => id)
    const [first = ''] = ids
    assert.deepEqual(await list({ limit: 100 }), [...ids.slice(1), first])
    assert.deepEqual(await list({ limit: 3 }), [ids[6], ids[7], first])
    assert.deepEqual(await list({ limit: 100, topic: 'telemetry' }), [ids[1], ids[3], ids[5], ids[7]])
    assert.deepEqual(await list({ limit: 100, since: now + 6 }), [ids[6], ids[7], first])
    assert.deepEqual(await list({ limit: 0 }), [])
  })

  it('are found by id, among more than are read at once', async () => {
    const id = await giveUp(flowRecord())
    const letters = Array.from({ length: 1_200 }, (_, offset) =>
      letterOf({ ...flowRecord(), partition: 0, offset: 10_000 + offset }, new Error('x'), now, 'sink'),
    )
    await bus.publish(letters)
    const letter = await getDeadLetter(bus, id.toUpperCase())
    assert.deepEqual([letter?.id, letter?.topic, letter?.code, letter?.source], [id, 'flows', 'INVALID_DATA', 'sink'])
    assert.equal(await getDeadLetter(bus, story.idOf('nobody')), undefined)
    assert.equal((await listDeadLetters(bus, { limit: 700 })).length, 700)
  })
})

describe('dead-letter replayer', () => {
  it('publishes the record again as it was, sent now, and says where', async () => {
    const headers = { ...flowRecord().headers, [sentHeader]: String(story.start), odd: 'a\u0007b' }
    const id = await giveUp(flowRecord({ headers }))
    const command = await order(id)
    const outcome = await answer()
    const [before, after] = await all('flows')
    assert.deepEqual(after?.headers, { ...headers, [sentHeader]: String(now) })
    assert.deepEqual([after?.key, Buffer.from(after?.value ?? [])], [before?.key, Buffer.from(before?.value ?? [])])
    const result = { topic: 'flows', partition: after?.partition, offset: after?.offset }
    assert.deepEqual(outcome, { command, ok: true, code: null, error: null, result, at: now })
  })

  it('does so once, however often the order is delivered, and by whomever', async () => {
    const id = await giveUp(flowRecord())
    await order(id)
    await order(id)
    await answer()
    await replayers.splice(0)[0]?.close()
    await order(id)
    const second = await start()
    await order(story.idOf('unknown'))
    await until('the last is answered', async () => (await outcomes()).length === 2)
    assert.equal((await all('flows')).length, 2)
    assert.deepEqual(second.state(), { replayed: 1, refused: 0, trouble: null })
  })

  it('answers null where there is no such letter, and leaves other orders to others', async () => {
    await bus.publish([encode('commands', newEvent('command', story.command, 'console', now))])
    await bus.publish([{ topic: 'commands', key: 'x', value: Buffer.from('{'), headers: {}, timestamp: now }])
    await order(story.idOf('unknown'))
    const outcome = await answer()
    assert.deepEqual([outcome.ok, outcome.result], [true, null])
    assert.equal((await outcomes()).length, 1)
  })

  it('refuses an order that comes too late', async () => {
    await order(await giveUp(flowRecord()), { expiresAt: now - 1 })
    assert.equal((await answer()).code, 'COMMAND_EXPIRED')
    assert.equal((await all('flows')).length, 1)
  })

  it('says when the record is gone', async () => {
    const letter = letterOf({ ...flowRecord(), partition: 0, offset: 77 }, new Error('x'), now, 'sink')
    await bus.publish([letter])
    await order(letter.headers.ce_id ?? '')
    const outcome = await answer()
    assert.equal(outcome.code, 'RECORD_UNAVAILABLE')
    assert.match(outcome.error ?? '', /flows\/0@77 is gone/)
  })

  it('refuses topics that only who is in charge may write', async () => {
    await order(await giveUp(encode('containments', newEvent('containment', story.containment, 'x', story.start))))
    assert.equal((await answer()).code, 'NOT_REPLAYABLE')
  })

  it('takes in again what an intake refused, under one id, and says when it still refuses', async () => {
    const refused = async (text: string) => {
      const record = { topic: 'flows', partition: 0, offset: -1, key: null, value: Buffer.from(text), headers: {}, timestamp: now }
      const event = newEvent('dead-letter', deadLetterOf(record, new CordonError('INVALID_DATA', 'then'), now), 'zeek-1', now)
      await bus.publish([encode('dead-letters', event)])
      return event.id
    }
    const good = await refused(JSON.stringify({ time: story.start, ...story.flow }))
    const bad = await refused('{"time":1}')
    const long = await refused(JSON.stringify({ time: story.start, ...story.flow, workload: 'w'.repeat(9_000) }))
    await order(good)
    await order(good, { id: story.idOf('second') })
    await order(bad)
    await order(long)
    await start()
    await until('all are answered', async () => (await outcomes()).length === 4)
    assert.deepEqual(
      (await outcomes()).map(({ code }) => code),
      [null, null, 'STILL_REJECTED', 'RECORD_UNAVAILABLE'],
    )
    const events = (await all('flows')).map((record) => decode(record))
    assert.equal(events.length, 2)
    assert.deepEqual([new Set(events.map(({ id }) => id)).size, events[0]?.source], [1, 'zeek-1'])
  })
})
