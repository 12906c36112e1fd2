import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { afterEach, beforeEach, test } from 'node:test'
import type { LightMyRequestResponse } from 'fastify'
import { InferenceError } from '../../inference/errors.ts'
import { RequestEvent } from '../../schemas/index.ts'
import { until } from './memory-bus.ts'
import { type Fixture, inferBody, openFixture } from './node-fixture.ts'

let fixture: Fixture
let alice: Record<string, string>

beforeEach(async () => {
  fixture = await openFixture()
  const { key } = await fixture.keys.create({ principal: 'alice', organization: 'acme' })
  alice = { authorization: `Bearer ${key}` }
})
afterEach(() => fixture.close())

const infer = (payload: unknown, headers: Record<string, string> = alice, url = '/v2/models/tiny/infer') =>
  fixture.node.app.inject({ method: 'POST', url, headers: { 'content-type': 'application/json', ...headers }, payload: payload as object })

function assertProblem(reply: LightMyRequestResponse, status: number): Record<string, unknown> {
  assert.equal(reply.statusCode, status, reply.body)
  assert.match(String(reply.headers['content-type']), /^application\/problem\+json/)
  const problem = reply.json<Record<string, unknown>>()
  assert.equal(problem.status, status)
  assert.equal(typeof problem.error, 'string')
  assert.doesNotMatch(reply.body, /\.ts|node:|at async|stack/)
  return problem
}

test('the routes of the Open Inference Protocol', async () => {
  const get = async (url: string, headers = {}) => (await fixture.node.app.inject({ url, headers })).json()
  const extensions = ['binary_tensor_data', 'classification', 'model_configuration', 'model_repository', 'statistics']
  assert.deepEqual(await get('/v2'), { name: 'cordon', version: '0.1.0', extensions, backend: 'test' })
  assert.deepEqual(await get('/v2/health/live'), { live: true })
  assert.deepEqual(await get('/v2/health/ready'), { ready: true })
  const tiny = {
    name: 'tiny',
    versions: ['1', '2'],
    platform: 'test',
    inputs: [{ name: 'image', datatype: 'FP32', shape: [-1, 2, 2, 1] }],
    outputs: [{ name: 'probabilities', datatype: 'FP32', shape: [-1, 3] }],
  }
  assert.deepEqual(await get('/v2/models/tiny', alice), tiny)
  assert.deepEqual(await get('/v2/models/tiny/versions/1', alice), tiny)
  assert.deepEqual(await get('/v2/models/tiny/ready', alice), { name: 'tiny', ready: true })
  assert.deepEqual(await get('/v2/models/tiny/versions/2/ready', alice), { name: 'tiny', ready: true })
  assert.deepEqual(await get('/health'), { ok: true, summary: 'answering with test' })
  assert.match((await fixture.node.app.inject({ url: '/metrics' })).body, /cordon_requests_total\{outcome="served"\} 4/)
})

test('an answer has the shape of the protocol', async () => {
  const reply = await infer({ id: 'q-1', ...inferBody(2, 0.5) })
  assert.equal(reply.statusCode, 200)
  // The tiny model: p, 0.75 (1 − p), 0.25 (1 − p) with p the first pixel.
  const data = [0.5, 0.375, 0.125, 0.5, 0.375, 0.125]
  assert.deepEqual(reply.json(), {
    model_name: 'tiny',
    model_version: '2',
    id: 'q-1',
    outputs: [{ name: 'probabilities', datatype: 'FP32', shape: [2, 3], data }],
  })
  assert.equal((await infer(inferBody(), alice, '/v2/models/tiny/versions/1/infer')).json<{ model_version: string }>().model_version, '1')
})

test('data may be nested as the shape says', async () => {
  const flat = await infer({ inputs: [{ name: 'image', shape: [1, 2, 2, 1], datatype: 'FP32', data: [0.1, 0.2, 0.3, 0.4] }] })
  const nested = await infer({
    inputs: [
      {
        name: 'image',
        shape: [1, 2, 2, 1],
        datatype: 'FP32',
        data: [
          [
            [[0.1], [0.2]],
            [[0.3], [0.4]],
          ],
        ],
      },
    ],
  })
  assert.deepEqual(nested.json<{ outputs: unknown }>().outputs, flat.json<{ outputs: unknown }>().outputs)
})

test('a body without a content type is JSON, as Triton clients send it', async () => {
  const reply = await fixture.node.app.inject({
    method: 'POST',
    url: '/v2/models/tiny/infer',
    headers: alice,
    payload: Buffer.from(JSON.stringify(inferBody())),
  })
  assert.equal(reply.statusCode, 200, reply.body)
})

test('outputs are selected by name', async () => {
  const reply = await infer({ ...inferBody(), outputs: [{ name: 'probabilities', parameters: { binary_data: true } }] })
  assert.equal(reply.statusCode, 200)
  const problem = assertProblem(await infer({ ...inferBody(), outputs: [{ name: 'logits' }] }), 422)
  assert.equal(problem.error, 'outputs: the model has probabilities')
})

test('401 says the same whatever is wrong with the key', async () => {
  const revoked = await fixture.keys.create({ principal: 'bob' })
  await fixture.keys.revoke(revoked.keyId)
  const keys = [undefined, 'Basic YTpi', 'Bearer', 'Bearer x', `Bearer ${revoked.key}`, `Bearer cordon_000000000000_${'a'.repeat(43)}`]
  const bodies = new Set<string>()
  for (const authorization of keys) {
    const reply = await infer(inferBody(), authorization === undefined ? {} : { authorization })
    assertProblem(reply, 401)
    assert.match(String(reply.headers['www-authenticate']), /^Bearer realm="cordon"/)
    bodies.add(reply.body)
  }
  assert.equal(bodies.size, 1)
  assertProblem(await fixture.node.app.inject({ url: '/v2/models/tiny' }), 401)
})

test('404 for models and versions that are not served', async () => {
  const urls = ['/v2/models/none/infer', '/v2/models/tiny/versions/9/infer', '/v2/models/__proto__/infer', '/v2/models/%00/infer']
  for (const url of urls) assertProblem(await infer(inferBody(), alice, url), 404)
  assertProblem(await fixture.node.app.inject({ url: '/v2/models/none/ready', headers: alice }), 404)
  assertProblem(await fixture.node.app.inject({ method: 'DELETE', url: '/v2/models/tiny', headers: alice }), 404)
  assertProblem(await fixture.node.app.inject({ url: '/nothing' }), 404)
})

test('400, 413 and 415 for bodies that are not a bounded JSON document', async () => {
  const post = (payload: string | Buffer, headers: Record<string, string>) => infer(payload, { ...alice, ...headers })
  const json = { 'content-type': 'application/json' }
  for (const body of ['{', '', '{"__proto__":{"a":1}}', '{"constructor":{"prototype":{}}}']) assertProblem(await post(body, json), 400)
  assertProblem(await post(JSON.stringify({ a: 'x'.repeat(4_194_304) }), json), 413)
  assertProblem(await post('a=1', { 'content-type': 'application/x-www-form-urlencoded' }), 415)
  assertProblem(await post(Buffer.from([1]), { 'content-type': 'application/octet-stream', 'inference-header-content-length': '1' }), 400)
  assertProblem(await post(JSON.stringify(inferBody()), { ...json, 'content-encoding': 'gzip' }), 400)
  assertProblem(await post(JSON.stringify(inferBody()), { ...json, 'content-encoding': 'br' }), 415)
})

test('422 says where the input does not fit, and never what it was', async () => {
  const tensor = { name: 'image', shape: [1, 2, 2, 1], datatype: 'FP32', data: [0, 0, 0, 0] }
  const rows: [unknown, RegExp][] = [
    [[], /^body/],
    [{}, /^inputs/],
    [{ inputs: [] }, /^inputs/],
    [{ inputs: [tensor, tensor] }, /^inputs: the model takes one input, image/],
    [{ inputs: [{ ...tensor, name: 'other' }] }, /^inputs: the model takes one input, image/],
    [{ inputs: [{ ...tensor, datatype: 'INT8' }] }, /^inputs\[0\]\.datatype: image is FP32/],
    [{ inputs: [{ ...tensor, shape: [1, 4] }] }, /^inputs\[0\]\.shape: image has the shape \[-1, 2, 2, 1\]/],
    [{ inputs: [{ ...tensor, shape: [0, 2, 2, 1], data: [] }] }, /^inputs\[0\]\.shape: a request has 1 to 128 items/],
    [{ inputs: [{ ...tensor, shape: [129, 2, 2, 1] }] }, /^inputs\[0\]\.shape: a request has 1 to 128 items/],
    [{ inputs: [{ ...tensor, shape: [1e15, 2, 2, 1] }] }, /1 to 128 items/],
    [{ inputs: [{ ...tensor, data: [0, 0, 0] }] }, /^inputs\[0\]\.data: the shape says 4 values/],
    [{ inputs: [{ ...tensor, data: [0, 0, 0, 1.5] }] }, /^inputs\[0\]\.data: value 3 is not a number from 0 to 1$/],
    [{ inputs: [{ ...tensor, data: [0, 0, 0, null] }] }, /value 3 is not a number/],
    [{ inputs: [{ ...tensor, data: [0, 0, 0, '0'] }] }, /value 3 is not a number/],
    [{ inputs: [{ ...tensor, data: [[0, 0, 0, 0]] }] }, /dimension 1/],
    [{ inputs: [{ ...tensor, data: [0, [0], 0, 0] }] }, /value 1 is not a number/],
    [{ id: 'x'.repeat(129), inputs: [tensor] }, /^id/],
  ]
  for (const [body, message] of rows) assert.match(String(assertProblem(await infer(body), 422).error), message)
})

test('500 tells nothing, and is the only answer to a backend that fails', async () => {
  fixture.runtime.failure = new Error('secret detail of the backend')
  const reply = await infer(inferBody())
  assertProblem(reply, 500)
  assert.doesNotMatch(reply.body, /secret/)
  const [event] = await fixture.eventsOf('requests')
  assert.equal(event?.outcome, 'failed')
})

test('an answer that is not a number is no answer', async () => {
  fixture.runtime.factor = Number.NaN
  assertProblem(await infer(inferBody()), 500)
  assert.deepEqual(await fixture.eventsOf('fingerprints'), [])
})

test('503 with Retry-After when the runtime is full', async () => {
  fixture.runtime.failure = new InferenceError('OVERLOADED', 'full')
  const reply = await infer(inferBody())
  const problem = assertProblem(reply, 503)
  assert.equal(reply.headers['retry-after'], '1')
  assert.equal(problem.type, 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity')
})

test('a served request leaves one request event and one fingerprint event an item, before it is answered', async () => {
  fixture.clock.now += 5
  await infer(inferBody(2, 0.5), { ...alice, 'user-agent': 'test/1' })
  const { spoolBytes, emitted } = fixture.emitter.state()
  assert.ok(spoolBytes > 0 && emitted === 3, 'in the spool when the answer is there')
  const [event] = await fixture.eventsOf('requests')
  assert.ok(event !== undefined)
  RequestEvent.parse(event)
  const { principal, organization, model, version, node, outcome, status, items, cost, confidence, lease, hardening } = event
  assert.deepEqual([principal, organization, model, version, node], ['alice', 'acme', 'tiny', '2', 'node-1'])
  // Two items at 0.5 each; the mean top-1 confidence of [0.5, 0.375, 0.125] is 0.5.
  assert.deepEqual([outcome, status, items, cost, confidence, lease, hardening], ['served', 200, 2, 1, 0.5, null, 'none'])
  assert.match(event.client, /^[0-9a-f]{32}$/)
  assert.notEqual(event.client, event.agent)
  const fingerprints = await fixture.eventsOf('fingerprints')
  assert.deepEqual(
    fingerprints.map(({ index, model, version }) => [index, model, version]),
    [
      [0, 'tiny', '2'],
      [1, 'tiny', '2'],
    ],
  )
  const id = fixture.bus.of('requests')[0]?.headers.ce_id
  assert.ok(fingerprints.every(({ request }) => request === id))
  assert.equal(fixture.bus.of('requests')[0]?.timestamp, fixture.clock.now, 'event time is the arrival')
})

test('an answer leaves the node only when its events are in the spool', async () => {
  const { url } = await fixture.node.start({ host: '127.0.0.1', port: 0 })
  fixture.emitter.flush()
  const { emitted } = fixture.emitter.state()
  const emittedAtAnswer: number[] = []
  fixture.node.app.server.prependListener('request', (_request, response) => {
    const writeHead = response.writeHead.bind(response) as (...args: unknown[]) => typeof response
    Object.assign(response, {
      writeHead: (...args: unknown[]) => {
        emittedAtAnswer.push(fixture.emitter.state().emitted - emitted)
        return writeHead(...args)
      },
    })
  })
  const send = { method: 'POST', headers: { ...alice, 'content-type': 'application/json' }, body: JSON.stringify(inferBody(3)) }
  await fetch(`${url}/v2/models/tiny/infer`, send)
  assert.deepEqual(emittedAtAnswer, [4], 'one request event and three fingerprints')
})

test('every exit leaves a request event that says so', async () => {
  await infer(inferBody(), {})
  await infer({}, alice)
  await infer(inferBody(), alice, '/v2/models/none/infer')
  await infer(inferBody(), alice, '/v2/models/a b/infer')
  const events = await fixture.eventsOf('requests')
  assert.deepEqual(
    events.map(({ principal, model, outcome, status }) => [principal, model, outcome, status]),
    [
      ['anonymous', 'tiny', 'unauthenticated', 401],
      ['alice', 'tiny', 'invalid', 422],
      ['alice', 'none', 'invalid', 404],
      ['alice', 'invalid-name', 'invalid', 404],
    ],
  )
})

test('requests without a key are recorded at a bounded rate', async () => {
  for (let i = 0; i < 60; i++) await infer(inferBody(), {})
  assert.equal((await fixture.eventsOf('requests')).length, 50)
  fixture.clock.now += 100
  for (let i = 0; i < 10; i++) await infer(inferBody(), {})
  // 50 a second are 5 in 100 ms.
  assert.equal((await fixture.eventsOf('requests')).length, 55)
  assert.match(await fixture.registry.metrics(), /cordon_requests_unrecorded_total 15/)
  // Who asks without a key is not told that it can ask unseen.
  assert.doesNotMatch((await fixture.node.app.inject({ url: '/metrics' })).body, /unrecorded/)
})

test('a fingerprint that fails costs no answer, whether at the input or at the answer', async () => {
  const cannot = () => {
    throw new Error('cannot')
  }
  for (const begin of [cannot, () => cannot]) {
    await fixture.close()
    fixture = await openFixture({ fingerprinterOf: () => ({ begin, fingerprint: cannot }) })
    const { key } = await fixture.keys.create({ principal: 'alice' })
    assert.equal((await infer(inferBody(), { authorization: `Bearer ${key}` })).statusCode, 200)
    assert.equal((await fixture.eventsOf('requests')).length, 1)
    assert.match(await fixture.registry.metrics(), /cordon_fingerprint_failures_total 1/)
  }
})

test('a telemetry event says how the node is', async () => {
  await infer(inferBody())
  const sample = fixture.node.sampleTelemetry()
  assert.deepEqual([sample.node, sample.requests, sample.emitted, sample.dropped], ['node-1', 1, 2, 0])
  assert.ok(sample.memoryBytes > 0)
  assert.deepEqual(await fixture.eventsOf('telemetry'), [sample])
})

test('closing: a running request finishes, one that is still arriving gets 503', async () => {
  const { node, runtime } = fixture
  const { url, port } = await node.start({ host: '127.0.0.1', port: 0 })
  const gate = Promise.withResolvers<void>()
  runtime.gate = gate.promise
  const send = { method: 'POST', headers: { ...alice, 'content-type': 'application/json' }, body: JSON.stringify(inferBody()) }
  const running = fetch(`${url}/v2/models/tiny/infer`, send)
  await until(() => runtime.ran.length === 1)
  const connections = () => new Promise<number>((resolve) => node.app.server.getConnections((_error, count) => resolve(count)))
  const arriving = new Arriving(port, `GET /v2/models/tiny HTTP/1.1\r\nhost: a\r\nauthorization: ${alice.authorization}\r\n`)
  while ((await connections()) < 2) await new Promise((resolve) => setImmediate(resolve))
  const closed = node.close()
  assert.equal(node.pulse().summary, 'closing')
  assert.match(await arriving.finish('\r\n'), /^HTTP\/1.1 503 [^]*temporary-reduced-capacity/)
  gate.resolve()
  assert.equal((await running).status, 200)
  await closed
})

test('a request that trickles in is cut off with a problem', async () => {
  await fixture.close()
  fixture = await openFixture({ limits: { headersMs: 50, requestMs: 100 } })
  const { port } = await fixture.node.start({ host: '127.0.0.1', port: 0 })
  const slow = ['GET /v2 HTTP/1.1\r\nhost: a\r\n', 'POST /v2/models/tiny/infer HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n{']
  for (const bytes of slow) assert.match(await new Arriving(port, bytes).finish(''), /^HTTP\/1.1 (408|401) [^]*problem/)
})

test('what is not HTTP, or has too large headers, gets a problem and no hang', async () => {
  const { port } = await fixture.node.start({ host: '127.0.0.1', port: 0 })
  const rows: [string, number][] = [
    ['nonsense\r\n\r\n', 400],
    ['GET /v2 HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n', 400],
    [`GET /v2 HTTP/1.1\r\nhost: a\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`, 431],
    ['POST /v2/models/tiny/infer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n\r\n', 400],
  ]
  for (const [bytes, status] of rows) {
    const reply = await new Arriving(port, bytes).finish('')
    assert.match(reply, new RegExp(`^HTTP/1.1 ${status} `), bytes.slice(0, 40))
    assert.match(reply, /application\/problem\+json/)
  }
})

/** A connection written by hand. */
class Arriving {
  readonly #socket: Socket
  readonly #reply: Promise<string>

  constructor(port: number, bytes: string) {
    this.#socket = connect(port, '127.0.0.1')
    this.#socket.write(bytes)
    this.#reply = this.#read()
  }

  finish(bytes: string): Promise<string> {
    this.#socket.write(bytes)
    return this.#reply
  }

  #read(): Promise<string> {
    return new Promise((resolve, reject) => {
      let reply = ''
      this.#socket.on('data', (chunk) => {
        reply += chunk.toString()
        if (reply.endsWith('}')) this.#socket.destroy()
      })
      this.#socket.on('close', () => resolve(reply))
      this.#socket.on('error', reject)
      this.#socket.setTimeout(5_000, () => this.#socket.destroy(new Error('no answer within 5 s')))
    })
  }
}
