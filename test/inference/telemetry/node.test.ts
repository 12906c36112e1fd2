import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Registry } from 'prom-client'
import { openTracing } from '../../../inference/telemetry/tracing.ts'
import { openFixture, silent, start } from '../node-fixture.ts'
import { openCollector } from './collector.ts'

const parent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

test('a request of a node is in its client’s trace, and in its event, and the model’s call in it', async (t) => {
  const collector = await openCollector()
  t.after(() => collector.close())
  const tracing = openTracing({
    ...{ endpoint: `${collector.url}/`, headers: {}, sampleRatio: 0, intervalMs: 60_000, node: 'node-1', models: ['tiny'] },
    ...{ forwards: () => true, addressKey: new Uint8Array(32), clock: () => start, registry: new Registry(), log: silent },
  })
  const fixture = await openFixture({ tracing })
  t.after(() => fixture.close())
  const { key } = await fixture.keys.create({ principal: 'alice' })
  const payload = { inputs: [{ name: 'image', datatype: 'FP32', shape: [1, 2, 2, 1], data: [0, 0, 0, 0] }] }
  const ask = (headers: Record<string, string>) =>
    fixture.node.app.inject({ method: 'POST', url: '/v2/models/tiny/infer', headers, payload })
  assert.equal((await ask({ authorization: `Bearer ${key}`, traceparent: parent })).statusCode, 200)
  assert.equal((await ask({ traceparent: parent })).statusCode, 401)
  const [served, refused] = await fixture.eventsOf('requests')
  await tracing.close()
  assert.deepEqual([served?.trace, refused?.trace], [parent.slice(3, 35), parent.slice(3, 35)])
  const [request, call, unknown] = collector.spans
  assert.deepEqual(
    [request?.name, request?.parentSpanId, request?.attributes['cordon.outcome']],
    ['infer tiny', parent.slice(36, 52), 'served'],
  )
  assert.deepEqual(
    [request?.attributes['cordon.client'], request?.attributes['cordon.configuration']],
    [served?.client, served?.configuration],
  )
  assert.deepEqual([call?.kind, call?.parentSpanId], [3, request?.spanId])
  assert.ok((call?.startTimeUnixNano ?? 0) >= start && (call?.endTimeUnixNano ?? 0) <= (request?.endTimeUnixNano ?? 0))
  assert.deepEqual([unknown?.attributes['error.type'], unknown?.attributes['http.response.status_code']], ['unauthenticated', 401])
  assert.equal(collector.spans.length, 3)
})
