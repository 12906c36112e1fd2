import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decode, encode, newEvent, tombstone } from '../../../bus/codec.ts'
import { publishDeadLetter } from '../../../bus/dead-letter.ts'
import { BusError } from '../../../bus/errors.ts'
import type { OutgoingRecord } from '../../../bus/port.ts'
import { openView } from '../../../bus/view.ts'
import { type DeadLetter, type Model, topics } from '../../../schemas/index.ts'
import { until } from '../../bus/until.ts'
import { isBusError, numbered, record, type Suite, text, time } from './suite.ts'

/** Tails, views and dead letters. */
export function followingContract(open: () => Suite): void {
  test('tails from the start, from the end and from given offsets', async () => {
    const suite = open()
    const topic = await suite.makeTopic(2)
    await suite.bus.publish([...numbered(topic, 0, 5, 0), ...numbered(topic, 5, 5, 1)])
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
      suite.adopt(
        await suite.bus.tail({
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
    await suite.bus.publish(numbered(topic, 10, 2, 1))
    await until('all three saw the news', () => seen.start.length === 12 && seen.end.length === 2 && seen.given.length === 4)
    assert.deepEqual(seen.end, ['1/10', '1/11'])
    assert.deepEqual(seen.given, ['0/3', '0/4', '1/10', '1/11'])
    assert.deepEqual(caught, { start: 1, end: 1, given: 1 })
    assert.deepEqual(
      (await suite.bus.groups()).filter((state) => state.topic === topic),
      [],
      'a tail is no group',
    )
  })

  test('tails an empty topic, and catches up at once', async () => {
    const suite = open()
    const topic = await suite.makeTopic(2, null)
    const caughtUp = Promise.withResolvers<void>()
    suite.adopt(await suite.bus.tail({ topic, from: 'start', onRecords: () => {}, onCaughtUp: caughtUp.resolve }))
    await caughtUp.promise
    await assert.rejects(suite.bus.publish([record(topic, null)]), (error) => isBusError(error, 'INVALID_RECORD'))
  })

  test('keeps a view of a compacted topic: the last write of each key, tombstones, and nothing of what cannot be read', async () => {
    const suite = open()
    await suite.bus.ensureTopics([topics.models])
    const errors: unknown[] = []
    const changes: [string, string | undefined][] = []
    await suite.bus.publish([modelRecord('a', '1'), modelRecord('b', '1'), modelRecord('a', '2'), tombstone('models', 'b', time)])
    const view = await openView(suite.bus, 'models', { onError: (error) => errors.push(error) })
    assert.deepEqual(
      [...view.values()].map((m) => [m.name, m.current]),
      [['a', '2']],
    )
    const stop = view.onChange((key, value, event) => {
      assert.equal(event?.data, value)
      changes.push([key, value?.current])
    })
    view.onChange(() => {
      throw new Error('a listener that throws')
    })
    await suite.bus.publish([
      modelRecord('b', '2'),
      { ...record('models', 'c', '{"no": "envelope"}') },
      { ...modelRecord('d', '1'), value: Buffer.from('{"name":"d"}') },
      { ...encode('incidents', newEvent('incident', { id: 'e' } as never, 'test', time)), topic: 'models', key: 'e' },
      tombstone('models', 'a', time),
      tombstone('models', 'never-there', time),
      modelRecord('f', '3'),
    ])
    await until('the view has f', () => view.get('f') !== undefined)
    assert.deepEqual(changes, [
      ['b', '2'],
      ['a', undefined],
      ['f', '3'],
    ])
    assert.equal(view.size, 2)
    assert.equal(view.get('b')?.current, '2')
    assert.deepEqual(
      errors.map((error) => (error instanceof BusError ? error.code : String(error))),
      [
        'Error: a listener that throws',
        'MISSING_ATTRIBUTE',
        'INVALID_DATA',
        'INVALID_DATA',
        ...Array.from({ length: 2 }, () => 'Error: a listener that throws'),
      ],
    )
    stop()
    await suite.bus.publish([modelRecord('g', '1')])
    await until('the view has g', () => view.get('g') !== undefined)
    assert.equal(changes.length, 3)
    await view.close()
  })

  test('puts poison messages on dead letters, and the stream goes on', async () => {
    const suite = open()
    await suite.bus.ensureTopics([topics['dead-letters']])
    const topic = await suite.makeTopic(1)
    const good = (name: string): OutgoingRecord => ({ ...modelRecord(name, '1'), topic })
    const poison: [string, OutgoingRecord][] = [
      ['MISSING_ATTRIBUTE', record(topic, 'k', 'not an event')],
      ['MALFORMED_JSON', { ...good('x'), value: Buffer.from([0xff, 0xfe, 0x00, 0x1b, 0x5b]) }],
      ['INVALID_DATA', { ...good('x'), value: Buffer.from('[]') }],
      ['UNKNOWN_MAJOR', { ...good('x'), headers: { ...good('x').headers, ce_dataschema: 'urn:cordon:schema:model:2.0' } }],
      ['UNKNOWN_TYPE', { ...good('x'), headers: { ...good('x').headers, ce_type: 'dev.cordon.constructor' } }],
    ]
    await suite.bus.publish([good('first'), ...poison.map(([, bad]) => bad), good('last')])
    const names: string[] = []
    const done = Promise.withResolvers<void>()
    await suite.consume({
      group: `g-${topic}`,
      topics: [topic],
      onBatch: async ({ records }, { commit }) => {
        for (const each of records) {
          try {
            const event = decode(each)
            if (event.kind === 'model') names.push(event.data.name)
          } catch (error) {
            await publishDeadLetter(suite.bus, each, error, time, 'test')
          }
        }
        await commit((records.at(-1)?.offset ?? 0) + 1)
        if (names.includes('last')) done.resolve()
      },
    })
    await done.promise
    assert.deepEqual(names, ['first', 'last'])
    const letters: DeadLetter[] = []
    for (const each of await suite.readAll('dead-letters')) {
      const event = decode(each)
      if (event.kind === 'dead-letter' && event.data.topic === topic) letters.push(event.data)
    }
    assert.deepEqual(
      letters.map((letter) => [letter.offset, letter.code]),
      poison.map(([code], index) => [index + 1, code]),
    )
    assert.equal(letters[0]?.value, Buffer.from('not an event').toString('base64'))
    assert.equal(letters[0]?.size, 12)
  })
}

function modelRecord(name: string, current: string): OutgoingRecord {
  const data: Model = { name, current, versions: [{ version: current, digest: 'sha256:0', good: true }] }
  return encode('models', newEvent('model', data, 'test', time))
}
