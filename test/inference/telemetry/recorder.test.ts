import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decode, encode } from '../../../bus/codec.ts'
import type { BusRecord } from '../../../bus/port.ts'
import { configurations, ModelConfiguration } from '../../../inference/configuration.ts'
import type { Emitter } from '../../../inference/emitter/emitter.ts'
import { type Exchange, newExchange } from '../../../inference/server/exchange.ts'
import { plainAddress } from '../../../inference/server/pseudonym.ts'
import { Recorder } from '../../../inference/server/recorder.ts'
import { passThrough } from '../../../inference/server/tracing.ts'
import { kinds, type RequestEvent } from '../../../schemas/index.ts'
import { openFixture, start } from '../node-fixture.ts'

const peer = { address: '192.0.2.1', agent: 'curl' }

/** A recorder whose events are kept as the bus would have them. */
function openRecorder() {
  const written: BusRecord[] = []
  const steps: string[] = []
  const emitter: Emitter = {
    emit: (topic, event) => {
      written.push({ ...encode(topic, event), partition: 0, offset: written.length })
    },
    flush: () => {
      steps.push(`flush of ${written.length}`)
    },
    state: () => ({ spoolBytes: 0, emitted: 0, dropped: 0, oldestMs: null, bus: 'ok', since: start }),
    drain: async () => true,
    close: async () => {},
  }
  const recorder = new Recorder(
    {
      ...{ name: 'node-1', emitter, clock: () => start, addressKey: new Uint8Array(32), prices: { perItem: 0.5 } },
      configurationOf: configurations({ prose: ModelConfiguration.parse({ pricePerTokenIn: 0.001, pricePerTokenOut: 0.01 }) }),
    },
    { observe: () => {}, unrecorded: () => {} },
    1_000,
  )
  const record = (exchange: Exchange, status = 200): RequestEvent => {
    recorder.record(exchange, status, peer)
    const last = written.at(-1)
    if (last === undefined) throw new Error('nothing was recorded')
    return decode(last).data as RequestEvent
  }
  return { written, steps, recorder, record }
}

function exchangeOf(change: Partial<Exchange>): Exchange {
  const arrival = {
    arrivedAt: start,
    startedAt: 0,
    dialect: 'oip',
    operation: 'infer',
    trace: passThrough.begin({}),
    address: '',
    purpose: null,
    withinMs: 1,
  } as const
  return Object.assign(
    newExchange(arrival),
    { principal: 'alice', keyId: 'key-1', model: 'tiny', version: '1', pool: 'a', items: 2 },
    change,
  )
}

const generation = { operation: 'chat', model: 'prose', items: 1, tokensIn: 100, tokensOut: 20, tokenCount: 'reported' } as const

test('answers leave once the events of all that end in a turn of the event loop are in the spool, by one write', async () => {
  const { steps, recorder, record } = openRecorder()
  for (const name of ['first', 'second']) {
    record(exchangeOf({}))
    recorder.whenWritten(() => steps.push(`${name} leaves`))
  }
  assert.deepEqual(steps, [])
  await new Promise(setImmediate)
  assert.deepEqual(steps, ['flush of 2', 'first leaves', 'second leaves'])
  await new Promise(setImmediate)
  assert.equal(steps.length, 3)
})

test('what waits for the end of the turn leaves with the one that cannot wait', async () => {
  const { steps, recorder, record } = openRecorder()
  record(exchangeOf({}))
  recorder.whenWritten(() => steps.push('leaves'))
  recorder.flush()
  assert.deepEqual(steps, ['flush of 1', 'leaves'])
  await new Promise(setImmediate)
  assert.equal(steps.length, 2)
})

test('what readers fill in is not written: an inference is a quarter smaller', () => {
  const { written, record } = openRecorder()
  const event = record(exchangeOf({ confidence: 0.9 }))
  const value = String(written[0]?.value)
  assert.deepEqual([event.operation, event.streamed, event.sampling, event.finishReasons, event.trace], ['infer', false, null, [], null])
  for (const name of ['operation', 'streamed', 'sampling', 'finishReasons', 'toolCalls', 'endpoint', 'trace'])
    assert.ok(!value.includes(`"${name}"`), name)
  assert.ok(value.length < 0.75 * JSON.stringify(event).length)
})

test('a generation is written whole', () => {
  const { record } = openRecorder()
  const sampling = { temperature: 0.5, topP: null, maxTokens: 9, choices: 2, topLogprobs: 3 }
  const said = { streamed: true, firstTokenMs: 3, sampling, finishReasons: ['stop'], toolCalls: 1, endpoint: 'gpu', configuration: 'cafe' }
  const event = record(exchangeOf({ ...generation, ...said }))
  for (const [name, value] of Object.entries({ ...generation, ...said })) assert.deepEqual(event[name as keyof RequestEvent], value, name)
})

test('an event of version 1.0 is read as the inference that it was', () => {
  const { written, record } = openRecorder()
  record(exchangeOf({}))
  const [record11] = written
  assert.ok(record11 !== undefined)
  assert.equal(record11.headers['ce_dataschema'], `urn:cordon:schema:request:${kinds.request.version}`)
  const old = { ...JSON.parse(String(record11.value)), outcome: 'served' }
  const fields = new Set(Object.keys(old))
  for (const name of ['operation', 'streamed', 'firstTokenMs', 'tokenCount', 'configuration']) fields.delete(name)
  const value = Buffer.from(JSON.stringify(Object.fromEntries(Object.entries(old).filter(([name]) => fields.has(name)))))
  const event = decode({ ...record11, value, headers: { ...record11.headers, ce_dataschema: 'urn:cordon:schema:request:1.0' } })
  assert.equal(event.kind, 'request')
  assert.deepEqual([event.data.operation, event.data.tokenCount, event.data.configuration], ['infer', 'none', ''])
})

test('what a request costs', () => {
  const { record } = openRecorder()
  const ends: [Partial<Exchange>, number][] = [
    // Two inputs at 0.5.
    [{}, 1],
    [{ outcome: 'throttled' }, 0],
    [{ outcome: 'failed' }, 0],
    // 100 × 0.001 and 20 × 0.01.
    [{ ...generation }, 0.3],
    [{ ...generation, streamed: true }, 0.3],
    // Who left pays for what was generated until then.
    [{ ...generation, outcome: 'aborted', tokensOut: 5 }, 0.15],
    [{ ...generation, outcome: 'failed' }, 0],
    [{ ...generation, model: null }, 0],
  ]
  for (const [change, cost] of ends) assert.ok(Math.abs(record(exchangeOf(change)).cost - cost) < 1e-9, JSON.stringify(change))
})

test('a reason to finish is cut, since an event with a longer one would be lost', () => {
  const { record } = openRecorder()
  assert.deepEqual(record(exchangeOf({ ...generation, finishReasons: ['x'.repeat(1_000)] })).finishReasons, ['x'.repeat(32)])
})

test('whoever traces the request learns what its event is called', () => {
  const { written, record } = openRecorder()
  const exchange = exchangeOf({})
  const event = record(exchange)
  assert.equal(exchange.id, written[0]?.headers['ce_id'])
  assert.equal(exchange.client, event.client)
  assert.equal(exchange.durationMs, event.durationMs)
})

test('one peer has one address, whatever socket it comes by', () => {
  const rows: [string, string][] = [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:192.0.2.1', '192.0.2.1'],
    ['2001:db8::1', '2001:db8::1'],
    ['2001:DB8::1', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['::ffff:0:1', '::ffff:0:1'],
    ['', ''],
  ]
  for (const [address, plain] of rows) assert.equal(plainAddress(address), plain)
})

test('who a peer says that it forwards for is not believed, and what is counted by model is not told to everybody', async (t) => {
  const fixture = await openFixture()
  t.after(() => fixture.close())
  const { key } = await fixture.keys.create({ principal: 'alice' })
  const body = { inputs: [{ name: 'image', datatype: 'FP32', shape: [1, 2, 2, 1], data: [0, 0, 0, 0] }] }
  const ask = async (remoteAddress: string, forwarded: string) => {
    const headers = { authorization: `Bearer ${key}`, 'x-forwarded-for': forwarded, forwarded: `for=${forwarded}` }
    const { statusCode } = await fixture.node.app.inject({
      method: 'POST',
      url: '/v2/models/tiny/infer',
      headers,
      payload: body,
      remoteAddress,
    })
    assert.equal(statusCode, 200)
  }
  await ask('192.0.2.1', '198.51.100.1')
  await ask('::ffff:192.0.2.1', '198.51.100.2')
  await ask('192.0.2.2', '198.51.100.1')
  const [first, again, other] = (await fixture.eventsOf('requests')).map(({ client }) => client)
  assert.equal(first, again)
  assert.notEqual(first, other)
  const { body: told } = await fixture.node.app.inject('/metrics')
  for (const name of ['cordon_model_', 'cordon_streams_', 'cordon_telemetry_', 'tiny']) assert.ok(!told.includes(name), name)
  const all = await fixture.registry.metrics()
  assert.match(all, /cordon_model_requests_total\{model="tiny",operation="infer",outcome="served"\} 3/)
  assert.match(all, /cordon_requests_total\{outcome="served"\} 3/)
})
