import assert from 'node:assert/strict'
import { test } from 'node:test'
import { passThrough } from '../../../inference/server/tracing.ts'
import { parseTrace } from '../../../inference/telemetry/trace-context.ts'

const traceId = '0af7651916cd43dd8448eb211c80319c'
const spanId = 'b7ad6b7169203331'
const good = `00-${traceId}-${spanId}-01`

const malformed: [name: string, traceparent: string][] = [
  ['empty', ''],
  ['upper case', good.toUpperCase()],
  ['a trace of zeros', `00-${'0'.repeat(32)}-${spanId}-01`],
  ['a span of zeros', `00-${traceId}-${'0'.repeat(16)}-01`],
  ['the version that is none', `ff-${traceId}-${spanId}-01`],
  ['a version that is no number', `0x-${traceId}-${spanId}-01`],
  ['more than version 00 has', `${good}-more`],
  ['more than a later version may have', `01-${traceId}-${spanId}-01more`],
  ['space around it', ` ${good} `],
  ['two of them', `${good}, ${good}`],
  ['a line break', `${good}\n`],
  ['a short trace', `00-${traceId.slice(1)}-${spanId}-01`],
  ['no end', `01-${traceId}-${spanId}-01-${'x'.repeat(100_000)}`],
]
for (const [name, traceparent] of malformed) {
  test(`a traceparent that is ${name} is none, and its tracestate neither`, () => {
    assert.equal(parseTrace({ traceparent, tracestate: 'a=1' }), undefined)
    assert.deepEqual(passThrough.begin({ traceparent, tracestate: 'a=1' }), { id: null, headers: {} })
  })
}

test('flags are read bit by bit, and a later version is read as far as it is known', () => {
  const sampled = (traceparent: string) => parseTrace({ traceparent })?.sampled
  assert.equal(sampled(`00-${traceId}-${spanId}-00`), false)
  assert.equal(sampled(`00-${traceId}-${spanId}-02`), false)
  assert.equal(sampled(`00-${traceId}-${spanId}-03`), true)
  assert.equal(sampled(`cc-${traceId}-${spanId}-01-what-will-be`), true)
})

test('of tracestate the well formed entries are kept in their order, at most 32 of them and 512 characters', () => {
  const stateOf = (tracestate: string) => parseTrace({ traceparent: good, tracestate })?.state?.serialize()
  assert.equal(stateOf('rojo=00f067aa0ba902b7,congo=t61rcWkgMzE'), 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE')
  assert.equal(stateOf('a=1, UPPER=2,b=3,nothing,=4'), 'a=1,b=3')
  assert.equal(stateOf('\u0000,,,'), undefined)
  const many = Array.from({ length: 100 }, (_, i) => `k${i}=${'v'.repeat(3)}`).join(',')
  assert.equal(stateOf(many)?.split(',').length, 32)
  const long = Array.from({ length: 20 }, (_, i) => `k${i}=${'v'.repeat(200)}`).join(',')
  assert.ok((stateOf(long)?.length ?? 0) <= 512)
})

test('without an exporter the trace goes through as it came', () => {
  const later = `01-${traceId}-${spanId}-01-more`
  assert.deepEqual(passThrough.begin({ traceparent: later, tracestate: 'a=1' }), {
    id: traceId,
    headers: { traceparent: later, tracestate: 'a=1' },
  })
})
