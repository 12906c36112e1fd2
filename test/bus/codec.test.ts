import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CloudEvent, Kafka, type KafkaMessage } from 'cloudevents'
import * as fc from 'fast-check'
import { decode, encode, encodeTick, newEvent, tombstone } from '../../bus/codec.ts'
import { BusError } from '../../bus/errors.ts'
import type { BusRecord, OutgoingRecord } from '../../bus/port.ts'
import { type TelemetryEvent, timeOf } from '../../schemas/index.ts'

const time = Date.UTC(2026, 4, 5, 6, 7, 8, 9)
const telemetry: TelemetryEvent = {
  node: 'node-ü',
  pool: 'a',
  requests: 10,
  emitted: 9,
  dropped: 1,
  spoolBytes: 0,
  loopDelayMs: 1.5,
  memoryBytes: 1,
  tensorBytes: 2,
  queueDepth: 0,
  everyMs: 5_000,
  closing: false,
  controlStaleMs: 0,
}
const event = newEvent('telemetry', telemetry, 'node-1', time)

test('writes CloudEvents binary mode, keyed as the topic says', () => {
  const record = encode('telemetry', event)
  assert.deepEqual(
    { ...record, value: JSON.parse(Buffer.from(record.value ?? []).toString()) },
    {
      topic: 'telemetry',
      key: 'node-ü',
      value: telemetry,
      headers: {
        ce_specversion: '1.0',
        ce_id: event.id,
        ce_source: 'node-1',
        ce_type: 'dev.cordon.telemetry',
        ce_time: '2026-05-05T06:07:08.009Z',
        ce_dataschema: 'urn:cordon:schema:telemetry:1.1',
        'content-type': 'application/json',
        ce_partitionkey: 'node-ü',
      },
      timestamp: time,
    },
  )
  assert.deepEqual(decode(received(record)), event)
})

test('makes ids that carry the time and ascend within a millisecond', () => {
  const ids = Array.from({ length: 2_000 }, () => newEvent('tick', { until: time }, 'host', time).id)
  assert.equal(timeOf(ids[0] ?? ''), time)
  assert.deepEqual(ids, ids.toSorted())
  assert.equal(new Set(ids).size, 2_000)
  assert.equal(newEvent('tick', { until: 1 }, 'host', 1, 'given').id, 'given')
})

test('puts a tick on the partition asked for, without a key', () => {
  const record = encodeTick('requests', 3, newEvent('tick', { until: time }, 'host', time))
  assert.deepEqual([record.topic, record.partition, record.key, record.headers.ce_partitionkey], ['requests', 3, null, undefined])
  assert.deepEqual(decode(received(record)).data, { until: time })
})

test('is read by the cloudevents package, and reads what that writes', () => {
  const record = encode('telemetry', event)
  const message: KafkaMessage = { key: record.key ?? '', value: Buffer.from(record.value ?? []), headers: { ...record.headers }, body: '' }
  assert.ok(Kafka.isEvent(message))
  const theirs = Kafka.toEvent<TelemetryEvent>(message)
  assert.ok(theirs instanceof CloudEvent)
  assert.deepEqual(
    [theirs.id, theirs.source, theirs.type, theirs.time, theirs.dataschema, theirs.partitionkey, theirs.data],
    [event.id, 'node-1', 'dev.cordon.telemetry', '2026-05-05T06:07:08.009Z', 'urn:cordon:schema:telemetry:1.1', 'node-ü', telemetry],
  )

  const written = Kafka.binary(theirs) as KafkaMessage
  const headers = Object.fromEntries(Object.entries(written.headers).map(([name, value]) => [name, String(value)]))
  const value = Buffer.from(JSON.stringify(written.value))
  const back: BusRecord = {
    topic: 'telemetry',
    partition: 0,
    offset: 0,
    key: String(written.key),
    value,
    headers,
    timestamp: Number(written.timestamp),
  }
  assert.deepEqual(decode(back), event)
})

test('accepts another minor version and fields that it does not know', () => {
  const record = encode('telemetry', event)
  const newer = {
    ...received(record),
    headers: {
      ...record.headers,
      ce_dataschema: 'urn:cordon:schema:telemetry:1.7',
      ce_traceparent: 'x',
      'content-type': 'application/json; charset=utf-8',
    },
    value: Buffer.from(JSON.stringify({ ...telemetry, future: { deep: [1] } })),
  }
  assert.deepEqual(decode(newer), event)
})

const good = received(encode('telemetry', event))
const refusals: [string, Partial<BusRecord>, string][] = [
  ...['ce_specversion', 'ce_id', 'ce_source', 'ce_type', 'ce_time', 'ce_dataschema'].map((name): [string, Partial<BusRecord>, string] => [
    `without ${name}`,
    { headers: Object.fromEntries(Object.entries(good.headers).filter(([each]) => each !== name)) },
    'MISSING_ATTRIBUTE',
  ]),
  ['another specversion', withHeader('ce_specversion', '0.3'), 'INVALID_ATTRIBUTE'],
  ['an id that is no UUID', withHeader('ce_id', '1'), 'INVALID_ATTRIBUTE'],
  ['an empty source', withHeader('ce_source', ''), 'INVALID_ATTRIBUTE'],
  ['a time in words', withHeader('ce_time', 'May 5, 2026'), 'INVALID_ATTRIBUTE'],
  ['a time before 1970', withHeader('ce_time', '1969-12-31T23:59:59Z'), 'INVALID_ATTRIBUTE'],
  ['another content type', withHeader('content-type', 'text/html'), 'INVALID_ATTRIBUTE'],
  ['the schema of another kind', withHeader('ce_dataschema', 'urn:cordon:schema:request:1.0'), 'INVALID_ATTRIBUTE'],
  ['another major', withHeader('ce_dataschema', 'urn:cordon:schema:telemetry:2.0'), 'UNKNOWN_MAJOR'],
  ['a foreign type', withHeader('ce_type', 'com.example.thing'), 'UNKNOWN_TYPE'],
  ['an inherited name as type', withHeader('ce_type', 'dev.cordon.toString'), 'UNKNOWN_TYPE'],
  ['half a document', { value: Buffer.from('{"node":') }, 'MALFORMED_JSON'],
  ['broken UTF-8', { value: Buffer.from([0x22, 0xc3, 0x28, 0x22]) }, 'MALFORMED_JSON'],
  ['nesting without end', { value: Buffer.from('['.repeat(500_000)) }, 'MALFORMED_JSON'],
  ['data of another shape', { value: Buffer.from('{"node":1}') }, 'INVALID_DATA'],
  ['a tombstone', { value: null }, 'INVALID_DATA'],
  ['a value that is too large', { value: Buffer.alloc(1_048_577, 0x20) }, 'TOO_LARGE'],
]
for (const [name, change, code] of refusals) {
  test(`refuses ${name}: ${code}`, () => {
    assert.throws(
      () => decode({ ...good, ...change }),
      (error) => error instanceof BusError && error.code === code && error.message.length < 600,
    )
  })
}

test('refuses to write what is too large', () => {
  const data = { ...telemetry, node: 'n'.repeat(1_100_000) }
  assert.throws(
    () => encode('telemetry', newEvent('telemetry', data, 's', time)),
    (error) => error instanceof BusError && error.code === 'TOO_LARGE',
  )
})

test('deletes with a tombstone', () => {
  assert.deepEqual(tombstone('keys', 'abc', time), { topic: 'keys', key: 'abc', value: null, headers: {}, timestamp: time })
})

test('throws nothing but coded errors, whatever the bytes', () => {
  const headers = fc.dictionary(
    fc.oneof(fc.constantFrom(...Object.keys(good.headers)), fc.string(), fc.constant('__proto__')),
    fc.oneof(fc.constantFrom(...Object.values(good.headers)), fc.string({ unit: 'binary' })),
  )
  const value = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.json().map((json) => Buffer.from(json)),
    fc.anything().map((any) => Buffer.from(JSON.stringify({ ...telemetry, node: any }) ?? '')),
    fc.constant(null),
  )
  fc.assert(
    fc.property(fc.boolean(), headers, value, fc.option(fc.string({ unit: 'binary' })), (envelope, extra, bytes, key) => {
      try {
        decode({ ...good, headers: envelope ? { ...good.headers, ...extra } : extra, value: bytes, key })
      } catch (error) {
        assert.ok(error instanceof BusError, String(error))
      }
    }),
    { seed: 7, numRuns: 2_000 },
  )
})

function received(record: OutgoingRecord): BusRecord {
  return { ...record, partition: record.partition ?? 0, offset: 0 }
}

function withHeader(name: string, value: string): Partial<BusRecord> {
  return { headers: { ...good.headers, [name]: value } }
}
