import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import * as fc from 'fast-check'
import Fastify, { type FastifyInstance, type InjectOptions } from 'fastify'
import pino from 'pino'
import { decode } from '../../bus/codec.ts'
import { createEmbeddedBus } from '../../bus/embedded/bus.ts'
import { BusError } from '../../bus/errors.ts'
import type { EventBus, OutgoingRecord } from '../../bus/port.ts'
import { collector } from '../../ingest/collector.ts'
import { type EventOf, type Kind, topics } from '../../schemas/index.ts'
import { until } from '../bus/until.ts'
import { flow, start, telemetry } from '../store/story.ts'

describe('collector', () => {
  let directory: string
  let bus: EventBus
  let app: FastifyInstance
  let refuse = false
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cordon-collector-'))
    bus = await createEmbeddedBus({ path: directory })
    await bus.ensureTopics(Object.values(topics).map(({ name, partitions, retentionMs }) => ({ name, partitions, retentionMs })))
    app = Fastify()
    const publish = (records: readonly OutgoingRecord[]) =>
      refuse ? Promise.reject(new BusError('BUS_UNAVAILABLE', 'away')) : bus.publish(records)
    await app.register(
      collector({
        bus: { publish } as unknown as EventBus,
        clock: () => start,
        log: pino({ level: 'silent' }),
        source: 'collector',
        authorise: ({ headers }) => ({ 'Bearer good': true, 'Bearer zeek-1': 'zeek-1' })[headers.authorization ?? ''] ?? false,
      }),
    )
  })
  after(async () => {
    await app.close()
    await bus.close()
    await rm(directory, { recursive: true, force: true })
  })

  const post = async (path: string, payload: InjectOptions['payload'], type = 'application/x-ndjson', token = 'good') => {
    const response = await app.inject({
      method: 'POST',
      url: path,
      payload,
      headers: { 'content-type': type, authorization: `Bearer ${token}` },
    })
    return {
      status: response.statusCode,
      type: response.headers['content-type'],
      headers: response.headers,
      body: response.json<Record<string, unknown>>(),
    }
  }

  /** Everything on a topic from the given offsets on. */
  async function read(topic: string): Promise<EventOf<Kind>[]> {
    const events: EventOf<Kind>[] = []
    for (const { partition, start: from } of await bus.partitions(topic)) {
      for await (const records of bus.read(topic, partition, from)) events.push(...records.map(decode))
    }
    return events
  }

  it('takes JSON lines, and answers when they are on the bus', async () => {
    const id = randomUUID()
    const lines = [
      { id, time: start, ...flow },
      { time: '2026-01-01T00:00:01Z', ...flow, workload: 'serving-b' },
    ]
    const answer = await post('/v1/flows', `${lines.map((line) => JSON.stringify(line)).join('\n')}\n\n`)
    assert.deepEqual([answer.status, answer.body], [202, { accepted: 2, rejected: [] }])
    const events = (await read('flows')).toSorted((a, b) => a.time - b.time)
    assert.deepEqual(
      events.map((event) => [event.kind, event.time, event.source]),
      [
        ['flow', start, 'collector'],
        ['flow', start + 1_000, 'collector'],
      ],
    )
    assert.equal(events[0]?.id, id)
    assert.deepEqual(events[0]?.data, flow)
  })

  it('takes a JSON array, one event, and telemetry, and says who sent it', async () => {
    const event = { time: start, ...telemetry }
    assert.deepEqual((await post('/v1/telemetry', JSON.stringify([event, event]), 'application/json', 'zeek-1')).body, {
      accepted: 2,
      rejected: [],
    })
    assert.deepEqual((await post('/v1/telemetry', JSON.stringify(event), 'application/json')).body, { accepted: 1, rejected: [] })
    assert.deepEqual(
      (await read('telemetry')).map(({ source }) => source),
      ['zeek-1', 'zeek-1', 'collector'],
    )
  })

  it('reports bad lines, dead-letters them, and takes the good ones', async () => {
    const good = JSON.stringify({ time: start, ...flow, connection: 'beside' })
    const lines = [
      good,
      '{"time":',
      JSON.stringify({ ...flow }),
      JSON.stringify({ time: start, ...flow, bytesOut: -1 }),
      'null',
      '[',
      JSON.stringify({ id: 'x', time: start, ...flow }),
    ]
    const { status, body } = await post('/v1/flows', lines.join('\n'))
    assert.deepEqual([status, body.accepted], [202, 1])
    assert.deepEqual(
      (body.rejected as { line: number; code: string }[]).map(({ line, code }) => [line, code]),
      [
        [2, 'MALFORMED_JSON'],
        [3, 'INVALID_DATA'],
        [4, 'INVALID_DATA'],
        [5, 'INVALID_DATA'],
        [6, 'MALFORMED_JSON'],
        [7, 'INVALID_DATA'],
      ],
    )
    const letters = (await read('dead-letters')).flatMap((event) => (event.kind === 'dead-letter' ? [event.data] : []))
    assert.deepEqual(
      letters.map(({ topic, offset, code, headers }) => [topic, offset, code, headers.line]),
      [
        ['flows', -1, 'MALFORMED_JSON', '2'],
        ['flows', -1, 'INVALID_DATA', '3'],
        ['flows', -1, 'INVALID_DATA', '4'],
        ['flows', -1, 'INVALID_DATA', '5'],
        ['flows', -1, 'MALFORMED_JSON', '6'],
        ['flows', -1, 'INVALID_DATA', '7'],
      ],
    )
    assert.match(letters[2]?.reason ?? '', /bytesOut/)
    assert.equal(Buffer.from(letters[0]?.value ?? '', 'base64').toString(), '{"time":')
  })

  it('refuses with problem details that say what to do', async () => {
    const valid = JSON.stringify({ time: start, ...flow })
    const deep = '['.repeat(200_000) + ']'.repeat(200_000)
    const cases: [number, string, Awaited<ReturnType<typeof post>>][] = [
      [401, 'UNAUTHENTICATED', await post('/v1/flows', valid, undefined, 'bad')],
      [400, 'EMPTY_BODY', await post('/v1/flows', '')],
      [400, 'EMPTY_BODY', await post('/v1/flows', '\n \n')],
      [400, 'EMPTY_BODY', await post('/v1/flows', '[]')],
      [400, 'MALFORMED_BODY', await post('/v1/flows', '[{"time":1}')],
      [400, 'MALFORMED_BODY', await post('/v1/flows', Buffer.from([0x5b, 0xff, 0x5d]))],
      [413, 'TOO_LARGE', await post('/v1/flows', 'x'.repeat((8 << 20) + 1))],
      [413, 'TOO_MANY_EVENTS', await post('/v1/flows', '{}\n'.repeat(10_001))],
      [415, 'UNSUPPORTED_TYPE', await post('/v1/flows', valid, 'text/plain')],
      [415, 'UNSUPPORTED_TYPE', await post('/v1/flows', valid, 'multipart/form-data')],
    ]
    for (const [status, code, answer] of cases) {
      assert.deepEqual([answer.status, answer.body.code], [status, code])
      assert.match(String(answer.type), /application\/problem\+json/)
    }
    assert.equal((await post('/v1/flows', deep)).status, 202)
  })

  it('says when to come back while the bus refuses, and takes the same again', async () => {
    const id = randomUUID()
    const body = JSON.stringify({ id, time: start, ...flow })
    refuse = true
    const answer = await post('/v1/flows', body)
    refuse = false
    assert.deepEqual([answer.status, answer.body.code, answer.headers['retry-after']], [503, 'BUS_REFUSED', '1'])
    assert.equal((await post('/v1/flows', body)).status, 202)
    assert.equal((await read('flows')).filter((event) => event.id === id).length, 1)
  })

  it('answers, though the bus does not, and holds only so many bodies meanwhile', async () => {
    const waiting: (() => void)[] = []
    const hanging = { publish: () => new Promise<void>((resolve) => waiting.push(resolve)) } as unknown as EventBus
    const slow = Fastify()
    const options = { bus: hanging, clock: () => start, log: pino({ level: 'silent' }), source: 's', answerMs: 300 }
    await slow.register(collector(options))
    const send = async () => {
      const response = await slow.inject({ method: 'POST', url: '/v1/flows', payload: { time: start, ...flow } })
      return [response.statusCode, response.json<{ code?: string }>().code, response.headers['retry-after']]
    }
    const answers = await Promise.all(Array.from({ length: 20 }, send))
    assert.equal(answers.filter(([, code]) => code === 'TOO_BUSY').length, 4)
    assert.equal(answers.filter(([, code]) => code === 'BUS_REFUSED').length, 16)
    assert.ok(answers.every(([status, , retry]) => status === 503 && retry === '1'))
    // They are done with: the next is taken in.
    const next = send()
    await until('it is published', () => waiting.length === 17)
    waiting.at(-1)?.()
    assert.equal((await next)[0], 202)
    await slow.close()
  })

  it('leaves it to the listener that it shares to let in and to refuse', async () => {
    const shared = Fastify()
    shared.setErrorHandler((error: Error, _request, reply) => reply.code(401).send({ words: error.message }))
    shared.addHook('onRequest', async ({ headers }) => {
      if (headers.authorization !== 'Bearer theirs') throw new Error('not by our token')
    })
    await shared.register(collector({ bus, clock: () => start, log: pino({ level: 'silent' }), source: 'shared' }))
    const send = (authorization: string) =>
      shared.inject({ method: 'POST', url: '/v1/flows', payload: { time: start, ...flow }, headers: { authorization } })
    const refused = await send('Bearer other')
    assert.deepEqual([refused.statusCode, refused.json()], [401, { words: 'not by our token' }])
    assert.equal((await send('Bearer theirs')).statusCode, 202)
    await shared.close()
  })

  it('takes a full load in parts that a broker accepts', async () => {
    const lines = Array.from({ length: 10_000 }, () => JSON.stringify({ time: start, ...flow, workload: 'full' }))
    assert.deepEqual((await post('/v1/flows', lines.join('\n'))).body, { accepted: 10_000, rejected: [] })
  })

  it('whatever is sent, answers 202 or a 4xx problem', async () => {
    const near = fc.record(
      { id: fc.anything(), time: fc.anything(), workload: fc.anything(), destination: fc.anything() },
      { requiredKeys: [] },
    )
    const line = fc.oneof(
      fc.json(),
      fc.string(),
      near.map((value) => JSON.stringify(value) ?? ''),
    )
    const body = fc.oneof(
      fc.array(line).map((lines) => Buffer.from(lines.join('\n'))),
      fc.uint8Array({ maxLength: 500 }).map((bytes) => Buffer.from(bytes)),
      fc.json().map((text) => Buffer.from(`[${text}]`)),
    )
    const types = fc.constantFrom('application/json', 'application/x-ndjson', 'text/plain', 'application/json; charset=utf-16', '')
    await fc.assert(
      fc.asyncProperty(body, types, fc.constantFrom('/v1/flows', '/v1/telemetry'), async (payload, type, path) => {
        const response = await app.inject({
          method: 'POST',
          url: path,
          payload,
          headers: { 'content-type': type, authorization: 'Bearer good' },
        })
        assert.ok(
          response.statusCode === 202 || (response.statusCode >= 400 && response.statusCode < 500),
          `${response.statusCode} ${response.body}`,
        )
      }),
      { numRuns: 200, seed: 5 },
    )
  })
})
