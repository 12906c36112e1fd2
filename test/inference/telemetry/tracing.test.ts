import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { type Exchange, newExchange } from '../../../inference/server/exchange.ts'
import type { Tracing } from '../../../inference/server/tracing.ts'
import { openTracing, type TracingOptions } from '../../../inference/telemetry/tracing.ts'
import type { Operation } from '../../../schemas/index.ts'
import { type CollectedSpan, openCollector } from './collector.ts'

const arrivedAt = 1_800_000_000_000
const traceId = '0af7651916cd43dd8448eb211c80319c'
const clientSpan = 'b7ad6b7169203331'
const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function open(change: Partial<TracingOptions> = {}) {
  const collector = await openCollector()
  closers.push(() => collector.close())
  const registry = new Registry()
  const lines: string[] = []
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) })
  const tracing = openTracing({
    endpoint: collector.url,
    headers: { 'x-collector-key': 'collector-secret' },
    sampleRatio: 1,
    intervalMs: 60_000,
    node: 'node-1',
    models: ['prose', 'digits'],
    forwards: (pool) => pool === 'elsewhere',
    addressKey: new Uint8Array(32),
    clock: () => arrivedAt,
    registry,
    log,
    exportMs: 400,
    ...change,
  })
  closers.push(() => tracing.close())
  const count = async (name: string): Promise<(Readonly<Record<string, unknown>> & { readonly value: number })[]> => {
    const { values = [] } = (await registry.getSingleMetric(name)?.get()) ?? {}
    return values.map(({ labels, value }) => ({ ...labels, value }))
  }
  return { collector, tracing, lines, count }
}

/** A chat that an upstream answered in 100 ms, 20 tokens, the first after 24 ms. */
function chat(tracing: Tracing, change: Partial<Exchange> = {}, headers: Parameters<Tracing['begin']>[0] = {}): Exchange {
  const exchange = exchangeOf(tracing, 'chat', headers)
  return Object.assign(
    exchange,
    {
      ...{ model: 'prose', version: '3', principal: 'alice', organization: 'acme', keyId: 'key-1', pool: 'elsewhere', endpoint: 'gpu-2' },
      ...{ items: 1, queueMs: 2, calledAt: 504, calledMs: 10, durationMs: 100, streamed: true, firstTokenMs: 24, client: 'c0ffee' },
      ...{ tokensIn: 12, tokensOut: 20, tokenCount: 'reported', finishReasons: ['stop'], configuration: 'cafe', toolCalls: 1 },
      sampling: { temperature: 0.7, topP: 0.9, maxTokens: 64, choices: 2, topLogprobs: 0 },
      id: '018f0000-0000-7000-8000-000000000000',
    } satisfies Partial<Exchange>,
    change,
  )
}

function exchangeOf(tracing: Tracing, operation: Operation, headers: Parameters<Tracing['begin']>[0] = {}): Exchange {
  return newExchange({
    arrivedAt,
    startedAt: 500,
    dialect: 'openai',
    operation,
    trace: tracing.begin(headers),
    address: '',
    purpose: null,
    withinMs: 1_000,
  })
}

function one(spans: readonly CollectedSpan[], kind: number): CollectedSpan {
  const found = spans.filter((span) => span.kind === kind)
  assert.equal(found.length, 1)
  return found[0] as CollectedSpan
}

test('a generation elsewhere leaves a span of the request and one of the call, in the trace of its client', async () => {
  const { collector, tracing } = await open()
  const exchange = chat(tracing, {}, { traceparent: `00-${traceId}-${clientSpan}-01`, tracestate: 'rojo=1,congo=2' })
  tracing.end(exchange, 200)
  await tracing.close()
  const server = one(collector.spans, 2)
  const call = one(collector.spans, 3)
  assert.deepEqual([server.name, server.traceId, server.parentSpanId], ['chat prose', traceId, clientSpan])
  assert.deepEqual([call.traceId, call.parentSpanId], [traceId, server.spanId])
  assert.deepEqual([server.startTimeUnixNano, server.endTimeUnixNano], [arrivedAt, arrivedAt + 100])
  // Called after 4 ms; its stream ended with the request.
  assert.deepEqual([call.startTimeUnixNano, call.endTimeUnixNano], [arrivedAt + 4, arrivedAt + 100])
  assert.deepEqual(exchange.trace.headers, { traceparent: `00-${traceId}-${call.spanId}-01`, tracestate: 'rojo=1,congo=2' })
  assert.equal(server.traceState, 'rojo=1,congo=2')
  const { 'cordon.principal': principal, ...attributes } = server.attributes
  assert.match(String(principal), /^[0-9a-f]{32}$/)
  assert.deepEqual(attributes, {
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': 'cordon',
    'gen_ai.request.model': 'prose',
    'gen_ai.response.model': 'prose',
    'gen_ai.request.temperature': 0.7,
    'gen_ai.request.top_p': 0.9,
    'gen_ai.request.max_tokens': 64,
    'gen_ai.request.choice.count': 2,
    'gen_ai.request.stream': true,
    'gen_ai.usage.input_tokens': 12,
    'gen_ai.usage.output_tokens': 20,
    'gen_ai.response.finish_reasons': ['stop'],
    'gen_ai.response.time_to_first_chunk': 0.024,
    'http.response.status_code': 200,
    'cordon.outcome': 'served',
    'cordon.hardening': 'none',
    'cordon.items': 1,
    'cordon.queue_ms': 2,
    'cordon.configuration': 'cafe',
    'cordon.pool': 'elsewhere',
    'cordon.endpoint': 'gpu-2',
    'cordon.version': '3',
    'cordon.client': 'c0ffee',
    'cordon.request.id': '018f0000-0000-7000-8000-000000000000',
    'cordon.token_count': 'reported',
    'cordon.tool_calls': 1,
  })
  assert.deepEqual(collector.resources[0], {
    'service.name': 'cordon',
    'service.version': collector.resources[0]?.['service.version'],
    'service.instance.id': 'node-1',
  })
  assert.equal(collector.headers[0]?.['x-collector-key'], 'collector-secret')
})

test('a model in the node has no call of its own, and a malformed trace is a new one', async () => {
  const { collector, tracing } = await open()
  const exchange = Object.assign(exchangeOf(tracing, 'infer', { traceparent: '00-nonsense', tracestate: 'a=1' }), {
    model: 'digits',
    pool: 'here',
    calledAt: 501,
    calledMs: 3,
    durationMs: 5,
  })
  tracing.end(exchange, 200)
  await tracing.close()
  assert.equal(collector.spans.length, 1)
  const server = one(collector.spans, 2)
  assert.deepEqual([server.name, server.parentSpanId, server.traceState], ['infer digits', '', undefined])
  assert.equal(server.traceId, exchange.trace.id)
  assert.equal(server.attributes['gen_ai.usage.input_tokens'], undefined)
  assert.match(String(exchange.trace.headers['traceparent']), new RegExp(`^00-${server.traceId}-[0-9a-f]{16}-01$`))
  assert.equal(exchange.trace.headers['tracestate'], undefined)
})

const ends: [Exchange['outcome'], status: number, code: number][] = [
  ['denied', 403, 0],
  ['aborted', 499, 0],
  ['overloaded', 503, 2],
  ['failed', 502, 2],
]
for (const [outcome, status, code] of ends) {
  test(`a request that ended ${outcome} says so, and is an error of ours only from 500 on`, async () => {
    const { collector, tracing } = await open()
    tracing.end(chat(tracing, { outcome, endpoint: null, calledMs: null }), status)
    await tracing.close()
    for (const span of collector.spans) assert.deepEqual([span.attributes['error.type'], span.status.code], [outcome, code])
    assert.equal(one(collector.spans, 3).endTimeUnixNano, arrivedAt + 100)
    assert.equal(one(collector.spans, 2).attributes['gen_ai.response.model'], undefined)
  })
}

test('no name that a client chose, and no principal, leaves the node', async () => {
  const { collector, tracing } = await open()
  tracing.end(chat(tracing, { model: 'sk-somebody-pasted-a-key', outcome: 'invalid', version: null }), 404)
  tracing.end(chat(tracing), 200)
  await tracing.close()
  const sent = collector.bodies.join()
  for (const secret of ['sk-somebody', 'alice', 'acme', 'key-1']) assert.ok(!sent.includes(secret), secret)
  assert.deepEqual(collector.spans.map(({ name }) => name).sort(), ['chat prose', 'chat prose', 'chat unknown', 'chat unknown'])
})

test('principals are named where that was asked for', async () => {
  const { collector, tracing } = await open({ namePrincipals: true })
  tracing.end(chat(tracing), 200)
  await tracing.close()
  assert.equal(one(collector.spans, 2).attributes['cordon.principal'], 'alice')
})

test('a trace that is not sampled goes on as not sampled, and is in the metrics all the same', async () => {
  const { collector, tracing } = await open({ sampleRatio: 0 })
  const plain = chat(tracing)
  const asked = chat(tracing, {}, { traceparent: `00-${traceId}-${clientSpan}-00` })
  tracing.end(plain, 200)
  tracing.end(asked, 200)
  await tracing.close()
  assert.deepEqual(collector.spans, [])
  assert.match(String(plain.trace.headers['traceparent']), new RegExp(`^00-${plain.trace.id}-[0-9a-f]{16}-00$`))
  assert.deepEqual(asked.trace, Object.assign(asked.trace, { id: traceId }))
  assert.equal(asked.trace.headers['traceparent'], `00-${traceId}-${clientSpan}-00`)
  assert.equal(collector.metrics.find(({ name }) => name === 'gen_ai.server.request.duration')?.histogram.dataPoints[0]?.count, 2)
})

test('metrics are by model, operation and end, with the buckets of the conventions', async () => {
  const { collector, tracing } = await open({ sampleRatio: 0 })
  tracing.end(chat(tracing), 200)
  tracing.end(chat(tracing, { tokensOut: 40, durationMs: 219 }), 200)
  tracing.end(chat(tracing, { outcome: 'throttled', tokenCount: 'none', firstTokenMs: null, durationMs: 1 }), 429)
  await tracing.close()
  const points = (name: string) => collector.metrics.find((metric) => metric.name === name)?.histogram.dataPoints ?? []
  const base = { 'gen_ai.operation.name': 'chat', 'gen_ai.provider.name': 'cordon', 'gen_ai.request.model': 'prose' }
  const durations = points('gen_ai.server.request.duration')
  assert.deepEqual(
    durations.map(({ attributes, count, sum }) => ({ attributes, count, sum })),
    [
      { attributes: base, count: 2, sum: 0.319 },
      { attributes: { ...base, 'error.type': 'throttled' }, count: 1, sum: 0.001 },
    ],
  )
  // 0.1 s is at most 0.16, 0.219 at most 0.32.
  assert.deepEqual(durations[0]?.bucketCounts, [0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0])
  // (100 − 24) / 19 = 4 ms and (219 − 24) / 39 = 5 ms.
  assert.ok(Math.abs((points('gen_ai.server.time_per_output_token')[0]?.sum ?? 0) - 0.009) < 1e-9)
  assert.deepEqual(
    points('gen_ai.server.time_to_first_token').map(({ count, sum }) => ({ count, sum })),
    [{ count: 2, sum: 0.048 }],
  )
  assert.deepEqual(
    points('gen_ai.client.token.usage').map(({ attributes, sum }) => [attributes['gen_ai.token.type'], sum]),
    [
      ['input', 24],
      ['output', 60],
    ],
  )
  assert.equal(points('gen_ai.client.token.usage')[0]?.explicitBounds.at(-1), 67_108_864)
  assert.ok(!collector.bodies.join().includes('alice'))
})

test('a collector that is away costs spans and is said once', async () => {
  const { collector, tracing, lines, count } = await open()
  await collector.close()
  closers.shift()
  for (let i = 0; i < 64; i++) tracing.end(chat(tracing), 200)
  await tracing.close()
  const failures = await count('cordon_telemetry_export_failures_total')
  assert.deepEqual(failures.map((one) => one['signal']).sort(), ['metrics', 'traces'])
  assert.equal(lines.filter((line) => line.includes('"traces"')).length, 1)
  assert.match(lines.join(), /ECONNREFUSED/)
})

test('a collector that answers 500 is counted for each batch, and said once, without its words', async () => {
  const { collector, tracing, lines, count } = await open()
  let answers = 0
  const first = Promise.withResolvers<void>()
  collector.answer = (response) => {
    first.resolve()
    if (++answers > 2) response.end('{}')
    else response.writeHead(500, 'collector-words').end('collector-words')
  }
  // Two spans each: 64 in the first batch, which goes at once, and 64 in the second one at the end.
  for (let i = 0; i < 32; i++) tracing.end(chat(tracing), 200)
  await first.promise
  await tracing.close()
  assert.deepEqual(await count('cordon_telemetry_export_failures_total'), [
    { signal: 'traces', value: 1 },
    { signal: 'metrics', value: 1 },
  ])
  assert.deepEqual(
    lines
      .map((line) => JSON.parse(line) as { level: number; signal: string; reason?: string })
      .map(({ level, signal, reason }) => [level, signal, reason]),
    [
      [40, 'traces', '500'],
      [40, 'metrics', '500'],
    ],
  )
  assert.ok(!lines.join().includes('collector-words') && !lines.join().includes('collector-secret'))
})

test('a collector that never answers holds up neither requests nor the end, and what it held is counted', async () => {
  const { collector, tracing, count } = await open({ maxSpans: 100, closeMs: 50, exportMs: 1_000 })
  collector.answer = () => {}
  // Two spans each: 50 fit, 10 do not.
  for (let i = 0; i < 60; i++) tracing.end(chat(tracing), 200)
  assert.deepEqual(await count('cordon_telemetry_spans_dropped_total'), [{ reason: 'queue', value: 20 }])
  const before = performance.now()
  await tracing.close()
  assert.ok(performance.now() - before < 2_000)
  await tracing.close()
  assert.deepEqual(await count('cordon_telemetry_spans_dropped_total'), [
    { reason: 'queue', value: 20 },
    { reason: 'closing', value: 100 },
  ])
})

test('a collector that takes its time for ever is hung up on', async () => {
  const { collector, tracing, lines, count } = await open({ exportMs: 200 })
  const answering = new Set<NodeJS.Timeout>()
  closers.push(async () => answering.forEach((timer) => clearInterval(timer)))
  const hungUp = Promise.withResolvers<void>()
  collector.answer = (response) => {
    response.writeHead(200)
    answering.add(setInterval(() => response.write(' '), 20))
    response.once('close', () => hungUp.resolve())
  }
  tracing.end(chat(tracing), 200)
  await tracing.close()
  await hungUp.promise
  assert.ok((await count('cordon_telemetry_export_failures_total')).some((one) => one['signal'] === 'traces'))
  assert.ok(lines.some((line) => line.includes('"traces"')))
})

test('nothing that is asked of it throws, whatever the exchange says', async () => {
  const { tracing, count } = await open()
  const broken = chat(tracing)
  Object.defineProperty(broken, 'durationMs', {
    get: () => {
      throw new Error('no')
    },
  })
  tracing.end(broken, 200)
  assert.deepEqual(await count('cordon_telemetry_export_failures_total'), [{ signal: 'traces', value: 1 }])
})
