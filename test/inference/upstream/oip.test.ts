import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import type { ModelInfo, TensorRuntime } from '../../../inference/port.ts'
import { openOipUpstream } from '../../../inference/upstream/oip.ts'
import { codeOf, FakeUpstream, inferCall, json, type Opening, opening, type Settings } from './fake-upstream.ts'

const tensors = {
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 1] }],
}
const fine = {
  model_name: 'any',
  outputs: [
    { name: 'z', datatype: 'INT64', shape: [1], data: [7] },
    { name: 'y', datatype: 'FP32', shape: [1, 1], data: [0.5] },
  ],
}

function declared(version: string, change: Partial<ModelInfo> = {}): ModelInfo {
  const platform = 'upstream'
  const inputs: ModelInfo['inputs'] = [{ name: 'x', datatype: 'FP32', shape: [-1, 2], range: [0, 1] }]
  const outputs: ModelInfo['outputs'] = [{ name: 'y', datatype: 'FP32', shape: [-1, 1] }]
  return { name: 'tiny', version, platform, operations: ['infer'], inputs, outputs, labels: ['a'], digest: 'sha256:1', ...change }
}

interface Given {
  readonly settings?: Settings
  readonly models?: readonly ModelInfo[]
  readonly documents?: Readonly<Record<string, unknown>>
}

async function bench(
  context: TestContext,
  { settings, models = [], documents = {} }: Given,
): Promise<Opening & { runtime: TensorRuntime; server: FakeUpstream }> {
  const server = await FakeUpstream.open()
  for (const [path, document] of Object.entries(documents)) server.documents.set(path, document)
  server.answer = json(fine)
  const opened = opening('oip', [server.url], settings)
  const registry = { list: () => models, info: () => undefined }
  const runtime = await openOipUpstream({ ...opened.options, registry })
  context.after(async () => {
    await runtime.close()
    await server.close()
  })
  return { ...opened, runtime, server }
}

test('the body goes as it came, with our own token and none of the headers that are not for the upstream', async (context) => {
  const { runtime, server } = await bench(context, {})
  const body = Buffer.concat([Buffer.from('{"inputs": []}'), Buffer.from([0, 255, 1, 2])])
  const headers = {
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    tracestate: 'a=b\r\nx-evil: 1',
    authorization: 'Bearer the-client',
    cookie: 'secret',
    connection: 'close',
  }
  await runtime.infer(inferCall({ raw: { body, jsonBytes: 14 }, headers }))
  const [asked] = server.asked
  assert.deepEqual(asked?.body, body)
  assert.equal(asked?.url, '/v2/models/tiny/infer')
  assert.deepEqual(asked?.headers, {
    host: `127.0.0.1:${server.port}`,
    connection: 'keep-alive',
    'accept-encoding': 'identity',
    authorization: 'Bearer upstream-secret',
    'content-type': 'application/octet-stream',
    traceparent: headers.traceparent,
    'inference-header-content-length': '14',
    'content-length': '18',
  })
})

test('the answer is there as it came, and as the tensors that were asked for, in that order', async (context) => {
  const { runtime, server } = await bench(context, {})
  const inference = await runtime.infer(inferCall({ outputs: ['y', 'z'] }))
  assert.equal(Buffer.from(inference.raw?.body ?? []).toString(), JSON.stringify(fine))
  assert.equal(inference.endpoint, `127.0.0.1:${server.port}`)
  const found = inference.tensors()
  assert.deepEqual(
    found.map(({ name, data }) => [name, data]),
    [
      ['y', new Float32Array([0.5])],
      ['z', new BigInt64Array([7n])],
    ],
  )
  assert.equal(inference.tensors(), found, 'read once')
})

test('binary tensors are read where the header says that JSON ends', async (context) => {
  const { runtime, server } = await bench(context, {})
  const text = JSON.stringify({ outputs: [{ name: 'y', datatype: 'FP32', shape: [2], parameters: { binary_data_size: 8 } }] })
  const body = Buffer.concat([Buffer.from(text), Buffer.from(new Float32Array([1, -2]).buffer)])
  server.answer = ({ response }) => {
    const headers = { 'content-type': 'application/octet-stream', 'inference-header-content-length': String(text.length) }
    response.writeHead(200, headers).end(body)
  }
  const inference = await runtime.infer(inferCall())
  assert.deepEqual(inference.raw, { body, jsonBytes: text.length })
  assert.deepEqual(inference.tensors()[0]?.data, new Float32Array([1, -2]))
})

test('tensors that cannot be read, or are left out, are the fault of the upstream, once somebody looks', async (context) => {
  const { runtime, server } = await bench(context, {})
  for (const outputs of [[], [{ name: 'y', datatype: 'FP32', shape: [3], data: [1] }], 'none', undefined]) {
    server.answer = json({ outputs })
    const inference = await runtime.infer(inferCall())
    assert.throws(() => inference.tensors(), { code: 'UPSTREAM_FAILED' }, JSON.stringify(outputs))
  }
})

test('a model that nobody declares is as the upstream says, with its versions, and paths name them', async (context) => {
  const about = { name: 'there', platform: 'onnxruntime', versions: ['10', '2'], ...tensors }
  const ten = { ...about, outputs: [{ name: 'y', datatype: 'FP64', shape: [-1, 1] }] }
  const documents = { '/v2/models/a%2Fb': about, '/v2/models/a%2Fb/versions/10': ten }
  const { runtime, server } = await bench(context, { settings: { names: { tiny: 'a/b' } }, documents })
  assert.deepEqual(
    runtime.list().map(({ name, version, platform, outputs }) => [name, version, platform, outputs[0]?.datatype]),
    [
      ['tiny', '2', 'onnxruntime', 'FP32'],
      ['tiny', '10', 'onnxruntime', 'FP64'],
    ],
  )
  assert.equal(runtime.info('tiny', '10')?.digest, null)
  assert.equal(runtime.info('tiny', '3'), undefined)
  await runtime.infer(inferCall({ version: '10' }))
  assert.equal(server.asked[0]?.url, '/v2/models/a%2Fb/versions/10/infer')
})

test('an upstream without versions gets none, and its model has the version that the pool names', async (context) => {
  const documents = { '/v2/models/tiny': { name: 'tiny', platform: '', versions: null, ...tensors } }
  const { runtime, server } = await bench(context, { settings: { version: '2026-01' }, documents })
  assert.deepEqual(
    runtime.list().map(({ version, platform }) => [version, platform]),
    [['2026-01', 'upstream']],
  )
  await runtime.infer(inferCall({ version: '2026-01' }))
  assert.equal(server.asked[0]?.url, '/v2/models/tiny/infer')
})

test('what a manifest declares holds, and the log says once where the upstream differs', async (context) => {
  const other = { ...tensors, inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 3] }] }
  for (const [document, odd] of [
    [{ versions: ['1'], ...tensors }, undefined],
    [{ versions: ['1'], ...other }, 'its inputs are others than those declared; the declaration of version 1 holds'],
    [{ versions: ['9'], ...tensors }, 'it has no version 1; the declaration of version 1 holds'],
  ] as const) {
    const { runtime, lines } = await bench(context, {
      models: [declared('1'), { ...declared('1'), name: 'other' }],
      documents: { '/v2/models/tiny': document },
    })
    assert.deepEqual(runtime.list(), [declared('1', { digest: null })])
    assert.deepEqual(runtime.info('tiny', '1')?.inputs[0]?.range, [0, 1])
    assert.equal(runtime.info('tiny', '9'), undefined)
    const said = lines.map((line) => JSON.parse(line) as { odd?: string }).flatMap((line) => line.odd ?? [])
    assert.deepEqual(said, odd === undefined ? [] : [odd])
  }
})

test('metadata that cannot be understood makes no model, and is asked for again', async (context) => {
  for (const document of [
    {},
    [],
    { ...tensors, inputs: [{ name: '', datatype: 'FP32', shape: [1] }] },
    { ...tensors, versions: ['../x'] },
    { ...tensors, outputs: [{ name: 'y', datatype: 'BF16', shape: [1] }] },
  ]) {
    const { runtime, lines } = await bench(context, { documents: { '/v2/models/tiny': document } })
    assert.deepEqual(runtime.list(), [])
    assert.equal(lines.filter((line) => line.includes('asking about it failed')).length, 1)
  }
})

test('an endpoint below a path, and a check at another path', async (context) => {
  const server = await FakeUpstream.open()
  server.answer = json(fine)
  server.documents.set('/serving/alive', {})
  const { options } = opening('oip', [`${server.url}/serving/`], { health: { path: '/alive' } })
  const runtime = await openOipUpstream(options)
  context.after(async () => {
    await runtime.close()
    await server.close()
  })
  assert.deepEqual(server.paths, ['GET /serving/alive', 'GET /serving/v2/models/tiny'])
  await runtime.infer(inferCall())
  assert.equal(server.asked[0]?.url, '/serving/v2/models/tiny/infer')
})

test('a server that does not speak TLS is away for those who ask for it', async (context) => {
  const server = await FakeUpstream.open()
  const { options, lines } = opening('oip', [server.url.replace('http:', 'https:')])
  const runtime = await openOipUpstream(options)
  context.after(async () => {
    await runtime.close()
    await server.close()
  })
  assert.equal(runtime.ready('p'), false)
  assert.equal(await codeOf(runtime.infer(inferCall())), 'POOL_AWAY')
  assert.equal(lines.filter((line) => line.includes('fails its checks')).length, 1)
})

test('two pools share a registry of metrics, and a pool answers for itself alone', async (context) => {
  const { runtime, options } = await bench(context, {})
  const second = await openOipUpstream({ ...options, pool: { ...options.pool, name: 'q' } })
  context.after(() => second.close())
  assert.match(await options.metrics.metrics(), /healthy_endpoints\{pool="p"\} 1[^]*healthy_endpoints\{pool="q"\} 1/)
  assert.deepEqual([runtime.ready('p'), runtime.ready('q'), second.ready('q'), runtime.depth('q')], [true, false, true, 0])
})

test('an upstream that hangs when it is asked about its models holds up neither the opening nor its checks', async (context) => {
  const server = await FakeUpstream.open()
  server.hanging.add('/v2/models/tiny')
  const { options } = opening('oip', [server.url], { health: { timeoutMs: 200, intervalMs: 10 } })
  const runtime = await openOipUpstream({ ...options, pool: { ...options.pool, models: Array.from({ length: 200 }, () => 'tiny') } })
  context.after(async () => {
    await runtime.close()
    await server.close()
  })
  const checks = () => server.paths.filter((path) => path.endsWith('/ready')).length
  const questions = () => server.paths.length - checks()
  const before = questions()
  while (checks() < 8) await new Promise((resolve) => setImmediate(resolve))
  assert.ok(runtime.ready('p'))
  assert.ok(questions() - before < 8)
})
