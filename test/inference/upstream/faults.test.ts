import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { gzipSync } from 'node:zlib'
import { InferenceError } from '../../../inference/errors.ts'
import type { TensorRuntime } from '../../../inference/port.ts'
import { openOipUpstream } from '../../../inference/upstream/oip.ts'
import {
  type Asked,
  cancellation,
  codeOf,
  FakeUpstream,
  goneAddress,
  inferCall,
  json,
  type Opening,
  opening,
  raw,
  type Settings,
} from './fake-upstream.ts'

const fine = { model_name: 'tiny', model_version: '1', outputs: [{ name: 'y', datatype: 'FP32', shape: [1], data: [0.5] }] }

interface Bench extends Opening {
  readonly servers: readonly FakeUpstream[]
  readonly server: FakeUpstream
  readonly runtime: TensorRuntime
  infer(): Promise<unknown>
}

async function bench(context: TestContext, count: number, settings: Settings = {}, more: readonly string[] = []): Promise<Bench> {
  const servers = await Promise.all(Array.from({ length: count }, () => FakeUpstream.open()))
  const opened = opening('oip', [...servers.map(({ url }) => url), ...more], settings)
  const runtime = await openOipUpstream(opened.options)
  context.after(async () => {
    await runtime.close()
    for (const server of servers) await server.close()
  })
  return { ...opened, servers, server: servers[0] as FakeUpstream, runtime, infer: () => runtime.infer(inferCall()) }
}

const head = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n'
const huge = ({ response }: Asked) => {
  response.writeHead(200, { 'content-type': 'application/json' })
  const mebibyte = Buffer.alloc(1_048_576, 0x20)
  const more = () => {
    while (!response.destroyed && response.write(mebibyte)) {}
  }
  response.on('drain', more)
  more()
}

const rows: readonly (readonly [what: string, answer: (asked: Asked) => void, code: string, settings?: Settings])[] = [
  ['an answer', json(fine), 'none'],
  ['an error of its own', json({ error: 'secret traceback' }, 500), 'UPSTREAM_FAILED'],
  ['an error whose body never ends', raw('HTTP/1.1 500 no\r\ncontent-length: 9\r\n\r\nx'), 'UPSTREAM_FAILED'],
  ['a key that it does not know', json({ error: 'secret' }, 401), 'UPSTREAM_FAILED'],
  ['a redirect', ({ response }) => response.writeHead(307, { location: 'http://127.0.0.1:9/' }).end(), 'UPSTREAM_FAILED'],
  ['nothing to say', ({ response }) => response.writeHead(204).end(), 'UPSTREAM_FAILED'],
  ['too many requests', json({}, 429, { 'retry-after': '7' }), 'UPSTREAM_BUSY'],
  ['a refusal of this request', json({ error: 'unexpected shape' }, 400), 'UPSTREAM_REFUSED'],
  ['a connection closed before the answer', ({ socket }) => socket.end(), 'UPSTREAM_FAILED'],
  ['a connection reset before the answer', ({ socket }) => socket.resetAndDestroy(), 'UPSTREAM_FAILED'],
  ['fewer bytes than its length says', raw(`${head}content-length: 99\r\n\r\n{}`, 'end'), 'UPSTREAM_FAILED'],
  ['fewer bytes, and says that it closes', raw(`${head}connection: close\r\ncontent-length: 99\r\n\r\n{}`, 'end'), 'UPSTREAM_FAILED'],
  ['chunks that are cut', raw(`${head}transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n`, 'end'), 'UPSTREAM_FAILED'],
  [
    'chunks that are cut, and says that it closes',
    raw(`${head}connection: close\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n`, 'end'),
    'UPSTREAM_FAILED',
  ],
  ['a reset in the body', raw(`${head}content-length: 99\r\n\r\n{}`, 'reset'), 'UPSTREAM_FAILED'],
  ['what is no HTTP', raw('SSH-2.0-OpenSSH_9.6\r\n'), 'UPSTREAM_FAILED'],
  ['what is no JSON', ({ response }) => response.end('<html>welcome</html>'), 'UPSTREAM_FAILED'],
  ['a page', ({ response }) => response.writeHead(200, { 'content-type': 'text/html' }).end('{}'), 'UPSTREAM_FAILED'],
  ['JSON of another kind', json([1, 2]), 'UPSTREAM_FAILED'],
  ['two lengths', raw(`${head}content-length: 2\r\ncontent-length: 3\r\n\r\n{}`), 'UPSTREAM_FAILED'],
  ['a length and chunks', raw(`${head}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`), 'UPSTREAM_FAILED'],
  ['endless headers', raw(`${head}${'x: y\r\n'.repeat(20_000)}`), 'UPSTREAM_FAILED'],
  ['another protocol', raw('HTTP/1.1 101 Switching\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n'), 'UPSTREAM_FAILED'],
  ['an endless body', huge, 'UPSTREAM_FAILED'],
  ['a compressed body', ({ response }) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('{}')), 'UPSTREAM_FAILED'],
  ['binary data longer than the body', json(fine, 200, { 'inference-header-content-length': '9999' }), 'UPSTREAM_FAILED'],
  ['binary data of no length', json(fine, 200, { 'inference-header-content-length': '-1' }), 'UPSTREAM_FAILED'],
  [
    'binary data of two lengths',
    raw(`${head}inference-header-content-length: 2\r\ninference-header-content-length: 3\r\ncontent-length: 2\r\n\r\n{}`),
    'UPSTREAM_FAILED',
  ],
  ['silence', () => {}, 'UPSTREAM_TIMEOUT', { firstByteMs: 200 }],
  ['a pause in the body', raw(`${head}content-length: 99\r\n\r\n{`), 'UPSTREAM_TIMEOUT', { idleMs: 200 }],
]

for (const [what, answer, code, settings] of rows) {
  test(`an upstream that answers ${what}: ${code}`, async (context) => {
    const { runtime, server, infer, lines, metrics } = await bench(context, 1, settings)
    server.answer = answer
    assert.equal(await codeOf(infer()), code)
    assert.equal(server.asked.length, 1, 'asked once: what may have begun is not tried again')
    assert.ok(!lines.join('').includes('secret'), 'neither its words nor our token are in the log')
    assert.ok(runtime.ready('p'), 'one request does not take an endpoint away')
    server.answer = json(fine)
    assert.equal(await codeOf(infer()), 'none', 'and the next request is answered')
    while (runtime.depth('p') > 0) await new Promise((resolve) => setImmediate(resolve))
    assert.match(await metrics.metrics(), /cordon_upstream_requests_total\{pool="p",endpoint="127\.0\.0\.1:\d+",outcome="success"\}/)
  })
}

test('an upstream that is over its capacity says when to come again', async (context) => {
  const { server, infer } = await bench(context, 1)
  server.answer = json({}, 429, { 'retry-after': '7' })
  const error: unknown = await infer().catch((thrown: unknown) => thrown)
  assert.ok(error instanceof InferenceError)
  assert.equal(error.retryAfter, 7)
})

test('a refusal is told in the words of the upstream, printable and bounded', async (context) => {
  const { server, infer } = await bench(context, 1)
  server.answer = json({ error: `unexpected\u001b[31m shape ${'x'.repeat(1_000)}` }, 400)
  await assert.rejects(infer(), ({ message }: Error) => message.startsWith('unexpected [31m shape x') && message.length === 300)
  server.answer = ({ response }) => response.writeHead(400).end('<html>')
  await assert.rejects(infer(), { message: "The model's server refuses the request with status 400" })
})

test('503: another endpoint is asked, at most as often as is set, and the answer is that of the one that is well', async (context) => {
  const { servers, infer } = await bench(context, 2)
  const [one, other] = servers as [FakeUpstream, FakeUpstream]
  one.answer = json({}, 503, { 'retry-after': '3' })
  other.answer = json(fine)
  for (let i = 0; i < 4; i++) assert.equal(await codeOf(infer()), 'none')
  assert.ok(one.asked.length > 0)
  assert.equal(other.asked.length, 4)
  other.answer = one.answer
  assert.equal(await codeOf(infer()), 'UPSTREAM_BUSY')
  one.answer = json(fine)
  other.answer = json(fine)
  assert.equal(await codeOf(infer()), 'none', '503 then well')
})

test('without retries, 503 is the answer', async (context) => {
  const { servers, infer } = await bench(context, 2, { retries: 0 })
  for (const server of servers) server.answer = json({}, 503)
  assert.equal(await codeOf(infer()), 'UPSTREAM_BUSY')
  assert.equal(
    servers.reduce((sum, { asked }) => sum + asked.length, 0),
    1,
  )
})

test('an endpoint that went away since its check: the others are asked, and after failures in a row it is left out', async (context) => {
  const { servers, infer, lines, runtime } = await bench(context, 2, { outlier: { consecutiveFailures: 2 } })
  const [one, other] = servers as [FakeUpstream, FakeUpstream]
  other.answer = json(fine)
  await one.close()
  for (let i = 0; i < 6; i++) assert.equal(await codeOf(infer()), 'none')
  assert.equal(other.asked.length, 6)
  assert.equal(lines.filter((line) => line.includes('taken out')).length, 1)
  assert.ok(runtime.ready('p'))
})

test('a pool whose upstream is away opens, takes nothing, and takes work once it is there', async (context) => {
  const address = await goneAddress()
  const { options, lines } = opening('oip', [address], { health: { intervalMs: 10 } })
  const runtime = await openOipUpstream(options)
  context.after(() => runtime.close())
  assert.equal(runtime.ready('p'), false)
  const error: unknown = await runtime.infer(inferCall()).catch((thrown: unknown) => thrown)
  assert.ok(error instanceof InferenceError && error.code === 'POOL_AWAY')
  assert.equal(error.retryAfter, 1)
  const server = await FakeUpstream.open(Number(new URL(address).port))
  context.after(() => server.close())
  server.answer = json(fine)
  while (!runtime.ready('p')) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(await codeOf(runtime.infer(inferCall())), 'none')
  assert.equal(lines.filter((line) => line.includes('fails its checks')).length, 1)
  server.health = 500
  while (runtime.ready('p')) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(await codeOf(runtime.infer(inferCall())), 'POOL_AWAY')
})

test('a check that hangs is a check that failed', async (context) => {
  const server = await FakeUpstream.open()
  server.health = 0
  const { options } = opening('oip', [server.url], { health: { timeoutMs: 20 } })
  const runtime = await openOipUpstream(options)
  context.after(async () => {
    await runtime.close()
    await server.close()
  })
  assert.equal(runtime.ready('p'), false)
})

test('the only endpoint, gone: ejected, nothing asked while it is, one probe after it, and back', async (context) => {
  const outlier = { consecutiveFailures: 2, baseEjectionMs: 1_000 }
  const { server, infer, clock, lines, runtime, metrics } = await bench(context, 1, { outlier })
  const { port } = server
  await server.close()
  assert.equal(await codeOf(infer()), 'POOL_AWAY')
  assert.equal(await codeOf(infer()), 'POOL_AWAY')
  assert.equal(runtime.ready('p'), false)
  assert.match(await metrics.metrics(), /cordon_upstream_healthy_endpoints\{pool="p"\} 0/)
  const again = await FakeUpstream.open(port)
  context.after(() => again.close())
  again.answer = json(fine)
  clock.now = 999
  assert.equal(await codeOf(infer()), 'POOL_AWAY')
  assert.equal(again.asked.length, 0)
  clock.now = 1_000
  assert.ok(runtime.ready('p'))
  const probe = infer()
  assert.equal(await codeOf(infer()), 'POOL_AWAY', 'only one goes ahead')
  await probe
  assert.equal(await codeOf(infer()), 'none')
  const said = lines.map((line) => (JSON.parse(line) as { msg: string }).msg)
  assert.equal(said.filter((msg) => msg.includes('taken out')).length, 1)
  assert.equal(said.filter((msg) => msg.includes('is back')).length, 1)
  assert.match(await metrics.metrics(), /cordon_upstream_ejections_total\{pool="p",endpoint="127\.0\.0\.1:\d+"\} 1/)
})

test('requests that the model chokes on do not take the only endpoint from everyone', async (context) => {
  const { server, infer, runtime } = await bench(context, 1, { outlier: { consecutiveFailures: 1 } })
  server.answer = json({}, 500)
  for (let i = 0; i < 20; i++) assert.equal(await codeOf(infer()), 'UPSTREAM_FAILED')
  assert.ok(runtime.ready('p'))
})

test('no more connections than are set: the others wait their turn, and too many waiting are refused', async (context) => {
  const { server, runtime } = await bench(context, 1, { maxConnections: 2 })
  const running: Asked[] = []
  const arrived = new Promise<void>((resolve) => {
    server.answer = (asked) => {
      running.push(asked)
      if (running.length === 2) resolve()
    }
  })
  const calls = Array.from({ length: 6 }, () => runtime.infer(inferCall()))
  await arrived
  assert.equal(runtime.depth('p'), 6)
  assert.equal(await codeOf(runtime.infer(inferCall())), 'OVERLOADED')
  server.answer = json(fine)
  for (const asked of running) json(fine)(asked)
  for (const call of calls) assert.equal(await codeOf(call), 'none')
  assert.ok((await server.connections()) <= 2)
})

test('who leaves while waiting is not sent', async (context) => {
  const { server, runtime } = await bench(context, 1, { maxConnections: 1 })
  server.answer = () => {}
  const first = runtime.infer(inferCall())
  const asked = await server.next()
  const leaving = cancellation()
  const second = runtime.infer(inferCall({ cancellation: leaving }))
  leaving.abort()
  assert.equal(await codeOf(second), 'CANCELLED')
  json(fine)(asked)
  assert.equal(await codeOf(first), 'none')
  assert.equal(server.asked.length, 1)
  assert.equal(await codeOf(runtime.infer(inferCall({ cancellation: leaving }))), 'CANCELLED')
})

test('who leaves takes the request along: the upstream sees the connection close', async (context) => {
  const { server, runtime } = await bench(context, 1, { outlier: { consecutiveFailures: 1 } })
  server.answer = () => {}
  for (const ms of [20_000, 30]) {
    const leaving = cancellation(ms)
    const arrived = server.next()
    const call = runtime.infer(inferCall({ cancellation: leaving }))
    const { closed } = await arrived
    if (ms === 20_000) leaving.abort()
    assert.equal(await codeOf(call), 'CANCELLED')
    await closed
  }
  assert.equal(runtime.depth('p'), 0)
  assert.ok(runtime.ready('p'), 'that says nothing about the endpoint')
})

test('closing ends what runs and what waits, and leaves no connection', async (context) => {
  const { server, runtime } = await bench(context, 1, { maxConnections: 1 })
  server.answer = () => {}
  const arrived = server.next()
  const calls = [runtime.infer(inferCall()), runtime.infer(inferCall())].map(codeOf)
  const { closed } = await arrived
  await runtime.close()
  assert.deepEqual(await Promise.all(calls), ['CLOSED', 'CLOSED'])
  assert.equal(await codeOf(runtime.infer(inferCall())), 'CLOSED')
  assert.equal(runtime.ready('p'), false)
  await closed
  while ((await server.connections()) > 0) await new Promise((resolve) => setImmediate(resolve))
})
