import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { configurations, ModelConfiguration } from '../../../inference/configuration.ts'
import { InferenceError } from '../../../inference/errors.ts'
import {
  decodeAnswer,
  decodeRequest,
  encodeAnswer,
  encodeRequest,
  type OipRequest,
  type WantedOutput,
} from '../../../inference/oip/codec.ts'
import type { InferCall, Inference, ModelInfo, ModelStatistics, Tensor, TensorRuntime } from '../../../inference/port.ts'
import { type Fixture, fingerprinterBy, openFixture, tinyFingerprint } from '../node-fixture.ts'

/** Two inputs and three outputs: probabilities [p, 1 − p] of what is in `left`, how long `words` are, and a large float. */
function pairModel(change: Partial<ModelInfo> = {}): ModelInfo {
  return {
    name: 'pair',
    version: '1',
    platform: 'test',
    operations: ['infer'],
    inputs: [
      { name: 'left', datatype: 'FP32', shape: [-1, 1], range: [0, 1] },
      { name: 'words', datatype: 'BYTES', shape: [-1, -1] },
    ],
    outputs: [
      { name: 'probabilities', datatype: 'FP32', shape: [-1, 2] },
      { name: 'lengths', datatype: 'INT64', shape: [-1, -1] },
      { name: 'scores', datatype: 'FP64', shape: [-1] },
    ],
    labels: ['yes', 'no'],
    digest: 'sha256:1',
    ...change,
  }
}

const duration = { count: 2, ns: 3_000 }
const statistics: ModelStatistics = {
  ...{ lastInference: 5, inferenceCount: 4, executionCount: 2, success: duration, fail: { count: 0, ns: 0 }, queue: duration },
  ...{ compute: duration, batches: [{ size: 2, compute: duration }], memoryBytes: 64 },
}

/** Tiny's wants two values at least. */
const pairFingerprint: typeof tinyFingerprint = (input, output) => tinyFingerprint(Float32Array.of(input[0] ?? 0, 0), output)

class PairRuntime implements TensorRuntime {
  readonly backend = 'test'
  readonly calls: InferCall[] = []
  readonly model: ModelInfo
  /** Answers as an upstream does: in bytes, which are read when asked for. */
  readonly upstream: boolean
  /** Instead of the answer. */
  bytes: string | undefined

  constructor(model: ModelInfo, upstream: boolean) {
    this.model = model
    this.upstream = upstream
  }

  list = () => [this.model]
  info = (name: string, version: string) => (name === 'pair' && version === '1' ? this.model : undefined)
  depth = () => 0
  ready = () => true
  statistics = () => (this.upstream ? undefined : statistics)
  tensorBytes = () => 0
  close = async () => {}

  async infer(call: InferCall): Promise<Inference> {
    this.calls.push(call)
    const tensors = answerOf(call)
    if (!this.upstream) return { tensors: () => tensors, raw: null, endpoint: null, queueMs: 0 }
    const about = { id: 'theirs', modelName: 'elsewhere', modelVersion: null, parameters: {} }
    const raw =
      this.bytes === undefined ? encodeAnswer({ ...about, tensors }, () => true) : { body: Buffer.from(this.bytes), jsonBytes: null }
    return { tensors: () => read(raw), raw, endpoint: 'http-a', queueMs: 0 }
  }
}

function read(raw: Parameters<typeof decodeAnswer>[0]): readonly Tensor[] {
  try {
    return decodeAnswer(raw, { maxTensors: 8, maxBytes: 65_536 }).tensors
  } catch (cause) {
    throw new InferenceError('UPSTREAM_FAILED', 'unreadable', { cause })
  }
}

function answerOf({ inputs, items, outputs }: InferCall): readonly Tensor[] {
  const left = inputs[0]?.data as Float32Array
  const words = inputs[1]?.data as readonly Uint8Array[]
  const tensors: readonly Tensor[] = [
    { name: 'probabilities', datatype: 'FP32', shape: [items, 2], data: Float32Array.from([...left].flatMap((p) => [p, 1 - p])) },
    {
      name: 'lengths',
      datatype: 'INT64',
      shape: [items, words.length / items],
      data: BigInt64Array.from(words, ({ length }) => BigInt(length)),
    },
    { name: 'scores', datatype: 'FP64', shape: [items], data: Float64Array.from(left, (p) => p * 1.23456) },
  ]
  return outputs.flatMap((wanted) => tensors.find(({ name }) => name === wanted) ?? [])
}

let fixture: Fixture
let runtime: PairRuntime
let alice: Record<string, string>

async function open(options: { upstream?: boolean; watched?: boolean; model?: Partial<ModelInfo>; text?: object } = {}): Promise<void> {
  const { upstream = false, watched = false, model = {}, text = {} } = options
  runtime = new PairRuntime(pairModel({ digest: upstream ? null : 'sha256:1', ...model }), upstream)
  const fingerprinterOf = () => (watched ? fingerprinterBy(pairFingerprint) : undefined)
  const configurationOf = configurations({ pair: ModelConfiguration.parse({ text }) })
  fixture = await openFixture({ runtime, fingerprinterOf, configurationOf, pools: [{ name: 'a', models: ['pair'], concurrency: 8 }] })
  alice = { authorization: `Bearer ${(await fixture.keys.create({ principal: 'alice' })).key}` }
}
afterEach(() => fixture.close())

const left: Tensor = { name: 'left', datatype: 'FP32', shape: [2, 1], data: Float32Array.of(0.75, 0.123) }
const words: Tensor = { name: 'words', datatype: 'BYTES', shape: [2, 1], data: [Buffer.from('ab'), Buffer.from('ü')] }

interface Asked {
  readonly inputs?: OipRequest['inputs']
  readonly outputs?: readonly (Pick<WantedOutput, 'name' | 'parameters'> & Partial<WantedOutput>)[]
  readonly binary?: boolean
}

async function infer({ inputs = [words, left], outputs = [], binary = false }: Asked = {}) {
  const wanted = outputs.map((output) => ({ classes: 0, binary: false, ...output }))
  const raw = encodeRequest({ id: 'q', parameters: {}, inputs, outputs: wanted, binary }, ({ length }) => length === 4)
  const headers: Record<string, string> = { ...alice, 'content-type': 'application/octet-stream' }
  if (raw.jsonBytes !== null) headers['inference-header-content-length'] = String(raw.jsonBytes)
  return fixture.node.app.inject({ method: 'POST', url: '/v2/models/pair/infer', headers, payload: Buffer.from(raw.body) })
}

type Reply = Awaited<ReturnType<typeof infer>>
function tensorsOf(reply: Reply): Record<string, readonly unknown[]> {
  assert.equal(reply.statusCode, 200, reply.body)
  const length = reply.headers['inference-header-content-length']
  const raw = { body: reply.rawPayload, jsonBytes: length === undefined ? null : Number(length) }
  const plain = (value: unknown) => (value instanceof Uint8Array ? Buffer.from(value).toString() : value)
  return Object.fromEntries(read(raw).map(({ name, data }) => [name, Array.from<unknown>(data).map(plain)]))
}

test('several inputs in any order, one in binary, and all outputs in JSON', async () => {
  await open()
  const reply = await infer()
  assert.deepEqual(reply.json(), {
    ...{ model_name: 'pair', model_version: '1', id: 'q' },
    outputs: [
      {
        name: 'probabilities',
        datatype: 'FP32',
        shape: [2, 2],
        data: [0.75, 0.25, Math.fround(0.123), 1 - Math.fround(0.123)].map(Math.fround),
      },
      { name: 'lengths', datatype: 'INT64', shape: [2, 1], data: [2, 2] },
      { name: 'scores', datatype: 'FP64', shape: [2], data: [0.75 * 1.23456, Math.fround(0.123) * 1.23456] },
    ],
  })
  assert.deepEqual(
    runtime.calls[0]?.inputs.map(({ name }) => name),
    ['left', 'words'],
  )
})

test('outputs are binary where the request, or the output, says so', async () => {
  await open()
  const all = await infer({ binary: true })
  assert.equal(all.headers['content-type'], 'application/octet-stream')
  assert.deepEqual(tensorsOf(all)['lengths'], [2n, 2n])
  const one = await infer({ binary: true, outputs: [{ name: 'lengths', binary: true }, { name: 'scores' }] })
  assert.match(one.body, /"scores","datatype":"FP64","shape":\[2\],"data":/)
  assert.deepEqual(Object.keys(tensorsOf(one)), ['lengths', 'scores'])
})

test('a classification is text, the largest first', async () => {
  await open()
  const answer = tensorsOf(await infer({ outputs: [{ name: 'probabilities', classes: 9 }] }))
  assert.deepEqual(answer['probabilities'], ['0.750000:0:yes', '0.250000:1:no', '0.877000:1:no', '0.123000:0:yes'])
  assert.equal((await infer({ outputs: [{ name: 'scores', classes: 1 }] })).statusCode, 422)
})

test('422 where inputs do not fit the model together', async () => {
  await open()
  const long = { ...left, shape: [3, 1], data: Float32Array.of(0, 0, 0) }
  const rows: readonly (readonly [readonly Tensor[], RegExp])[] = [
    [[left], /^inputs: the model takes 2 inputs, left, words/],
    [[left, left], /^inputs: the model takes 2 inputs/],
    [[words, long], /^inputs\[1\]\.shape: all inputs have as many items/],
    [[words, { ...left, data: Float32Array.of(0, 2) }], /^inputs\[1\]: value 1 is not a number from 0 to 1|inputs\[1\]\.data: value 1/],
    [[{ ...words, shape: [2, 0], data: [] }, left], /^inputs\[0\]\.shape: words has the shape \[-1, -1\]/],
  ]
  for (const [inputs, message] of rows) {
    const reply = await infer({ inputs })
    assert.equal(reply.statusCode, 422)
    assert.match(reply.json<{ error: string }>().error, message)
  }
  assert.equal(runtime.calls.length, 0)
})

test('an upstream answers byte for byte, and is not even read where it is no classifier', async () => {
  await open({ upstream: true, model: { labels: [] } })
  runtime.bytes = '{"odd": "but theirs" }'
  const reply = await infer()
  assert.deepEqual([reply.statusCode, reply.body], [200, runtime.bytes])
  const [event] = await fixture.eventsOf('requests')
  assert.deepEqual([event?.confidence, event?.endpoint, event?.items], [null, 'http-a', 2])
})

test('502 where an upstream answers what its model does not', async () => {
  await open({ upstream: true })
  assert.equal((await infer()).statusCode, 200)
  for (const bytes of [
    '{"odd": "but theirs" }',
    '{"outputs":[{"name":"probabilities","shape":[1,4],"datatype":"FP32","data":[1,0,0,0]}]}',
  ]) {
    runtime.bytes = bytes
    assert.equal((await infer()).statusCode, 502)
  }
})

test('whoever leaves out the probabilities of a watched model, or has them as text, is watched all the same', async () => {
  for (const upstream of [false, true]) {
    await open({ upstream, watched: true })
    const asked = [[{ name: 'scores' }], [{ name: 'probabilities', classes: 1 }]]
    for (const outputs of asked) {
      const answer = tensorsOf(await infer({ outputs }))
      assert.deepEqual(
        Object.keys(answer),
        outputs.map(({ name }) => name),
        'and sees what it asked for',
      )
    }
    assert.equal((await fixture.eventsOf('fingerprints')).length, 4)
    const decoded = runtime.calls.map(({ outputs }) => outputs)
    assert.deepEqual(decoded, [['scores', 'probabilities'], ['probabilities']])
    if (!upstream) await fixture.close()
  }
})

test('texts are masked for whoever runs the model, watched or not, and what is watched is the request as it came', async () => {
  for (const upstream of [false, true]) {
    for (const watched of [false, true]) {
      await open({ upstream, watched, text: { redaction: { input: 'mask' } } })
      const mail: Tensor = { ...words, data: [Buffer.from('ann@example.org'), Buffer.from('ü')] }
      const answer = tensorsOf(await infer({ inputs: [mail, left], outputs: [{ name: 'lengths' }] }))
      assert.deepEqual(answer, { lengths: [7n, 2n] }, 'of [EMAIL]')
      const [call] = runtime.calls
      const inputs = upstream && call !== undefined ? decodeRequest(call.raw, { maxTensors: 8, maxBytes: 65_536 }).inputs : call?.inputs
      assert.deepEqual(inputs?.find(({ name }) => name === 'words')?.data, [Buffer.from('[EMAIL]'), Buffer.from('ü')])
      assert.deepEqual(inputs?.find(({ name }) => name === 'left')?.data, left.data)
      assert.equal((await fixture.eventsOf('fingerprints')).length, watched ? 2 : 0)
      if (!(upstream && watched)) await fixture.close()
    }
  }
})

test('a watched model elsewhere is told what its inputs and outputs say beside their data', async () => {
  await open({ upstream: true, watched: true })
  const inputs = [{ ...words, parameters: { content_type: 'str' } }, left]
  await infer({ inputs, outputs: [{ name: 'scores', parameters: { note: 'n' } }] })
  const { raw } = runtime.calls.at(-1) ?? assert.fail('it was not asked')
  const asked = decodeRequest(raw, { maxTensors: 8, maxBytes: 65_536 })
  assert.deepEqual(asked.inputs.map(({ name, parameters }) => [name, parameters]).sort(), [
    ['left', undefined],
    ['words', { content_type: 'str' }],
  ])
  assert.deepEqual(asked.outputs, [
    { name: 'scores', binary: true, classes: 0, parameters: { note: 'n' } },
    { name: 'probabilities', binary: true, classes: 0 },
  ])
})

test('inputs of bytes leave fingerprints as floats do', async () => {
  const inputs = pairModel().inputs.map((spec) => (spec.name === 'left' ? { ...spec, datatype: 'UINT8' as const } : spec))
  await open({ watched: true, model: { inputs } })
  const bytes: Tensor = { ...left, datatype: 'UINT8', data: Uint8Array.of(1, 0) }
  assert.equal((await infer({ inputs: [bytes, words] })).statusCode, 200)
  assert.equal((await fixture.eventsOf('fingerprints')).length, 2)
})

test('hardening: probabilities keep their top class, floats are rounded, and label-only silences the rest', async () => {
  for (const upstream of [false, true]) {
    await open({ upstream })
    await fixture.contain('principal:alice', 'harden-output', { level: 'rounded', decimals: 1 })
    const rounded = await infer()
    assert.match(rounded.body, /"data":\[0.8,0.3,0.1,0.9\]/)
    assert.deepEqual(tensorsOf(rounded)['scores'], [0.9, 0.2])
    assert.deepEqual(tensorsOf(rounded)['lengths'], [2n, 2n])
    await fixture.contain('principal:alice', 'harden-output', { level: 'label-only', decimals: 1 })
    const answer = tensorsOf(await infer({ binary: true }))
    assert.deepEqual(answer, { probabilities: [1, 0, 0, 1], lengths: [0n, 0n], scores: [0, 0] })
    const [event] = (await fixture.eventsOf('requests')).slice(-1)
    // What the model said: the mean of 0.75 and 0.877.
    assert.equal(event?.hardening, 'label-only')
    assert.ok(Math.abs((event.confidence ?? 0) - 0.8135) < 1e-6)
    if (!upstream) await fixture.close()
  }
})

test('statistics, configuration and the index say what is served, and nothing is loaded from outside', async () => {
  await open()
  const get = async (url: string) => (await fixture.node.app.inject({ url, headers: alice })).json<Record<string, unknown>>()
  const expected = { model_stats: [{ name: 'pair', version: '1' }] }
  for (const url of ['/v2/models/stats', '/v2/models/pair/stats', '/v2/models/pair/versions/1/stats'])
    assert.partialDeepStrictEqual(await get(url), expected)
  assert.partialDeepStrictEqual(await get('/v2/models/stats'), {
    model_stats: [{ inference_count: 4, inference_stats: { queue: duration } }],
  })
  assert.deepEqual(await get('/v2/models/pair/config'), {
    ...{ name: 'pair', platform: 'test', max_batch_size: 128 },
    input: [
      { name: 'left', data_type: 'TYPE_FP32', dims: [1] },
      { name: 'words', data_type: 'TYPE_STRING', dims: [-1] },
    ],
    output: [
      { name: 'probabilities', data_type: 'TYPE_FP32', dims: [2] },
      { name: 'lengths', data_type: 'TYPE_INT64', dims: [-1] },
      { name: 'scores', data_type: 'TYPE_FP64', dims: [] },
    ],
    dynamic_batching: { preferred_batch_size: [32], max_queue_delay_microseconds: 0 },
  })
  const post = (url: string, headers = alice) => fixture.node.app.inject({ method: 'POST', url, headers })
  assert.deepEqual((await post('/v2/repository/index')).json(), [{ name: 'pair', version: '1', state: 'READY', reason: '' }])
  for (const what of ['load', 'unload']) assert.equal((await post(`/v2/repository/models/pair/${what}`)).statusCode, 403)
  for (const url of ['/v2/models/stats', '/v2/models/pair/config']) assert.equal((await fixture.node.app.inject({ url })).statusCode, 401)
  assert.equal((await post('/v2/repository/index', {})).statusCode, 401)
})
