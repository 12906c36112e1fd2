import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { afterEach, beforeEach, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { NodeLimits } from '../../inference/server/options.ts'
import { until } from './memory-bus.ts'
import { type Fixture, inferBody, openFixture } from './node-fixture.ts'

let fixture: Fixture
let port: number
let authorization: string

beforeEach(() => open({}))
afterEach(() => fixture.close())

async function open(limits: Partial<NodeLimits>, concurrency = 128): Promise<void> {
  fixture = await openFixture({ limits, pools: [{ name: 'a', models: ['tiny'], concurrency }] })
  authorization = `authorization: Bearer ${(await fixture.keys.create({ principal: 'alice' })).key}`
  port = (await fixture.node.start({ host: '127.0.0.1', port: 0 })).port
}

async function reopen(limits: Partial<NodeLimits>, concurrency?: number): Promise<void> {
  await fixture.close()
  await open(limits, concurrency)
}

/** What comes back until the connection closes, or until there are so many answers. */
function send(bytes: string | Buffer, answers = Number.POSITIVE_INFINITY): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      if (statuses(text).length >= answers && /[}\n]$/.test(text)) socket.destroy()
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(text))
    socket.setTimeout(5_000, () => reject(new Error(`no end within 5 s, after ${JSON.stringify(text)}`)))
    socket.write(bytes)
  })
}

const statuses = (text: string) => [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))

function post(body: string | Buffer, ...headers: string[]): Buffer {
  const head = ['POST /v2/models/tiny/infer HTTP/1.1', 'host: a', authorization, `content-length: ${body.length}`, ...headers, '', '']
  return Buffer.concat([Buffer.from(head.join('\r\n')), Buffer.from(body)])
}

const body = JSON.stringify(inferBody())

test('framings that two readers could read in two ways are refused, and the connection with them', async () => {
  const rows: string[] = [
    'content-length: 2\r\ntransfer-encoding: chunked',
    'transfer-encoding: chunked\r\ncontent-length: 2',
    'content-length: 2\r\ncontent-length: 3',
    'content-length: 2, 2',
    'content-length: +2',
    'content-length: 0x2',
    'content-length : 2',
    'transfer-encoding : chunked',
    'transfer-encoding: xchunked',
    'transfer-encoding: chunked, identity',
    'transfer-encoding: chunked, chunked',
    'transfer-encoding: gzip, chunked',
    'transfer-encoding: chunked\r\ntransfer-encoding: chunked',
    'x: a\r\n folded: b',
    'x: a\nsmuggled: b',
    'x: a\rsmuggled: b',
    'x\u0000: a',
    ': nameless',
    'without a colon',
    'host: b',
    'authorization: Bearer other',
    'content-type: text/plain\r\ncontent-type: application/json',
  ]
  for (const headers of rows) {
    const smuggled = post(body).toString()
    const head = `POST /v2/models/tiny/infer HTTP/1.1\r\nhost: a\r\n${authorization}\r\n${headers}\r\n\r\n`
    const [first, ...others] = statuses(await send(`${head}0\r\n\r\n${smuggled}`, 2))
    assert.equal(first, 400, headers)
    assert.ok(!others.includes(200) || !/coding|length/.test(headers), `what followed was read as a request: ${headers}`)
  }
  assert.equal(fixture.runtime.ran.length, 0, 'and none of it was run')
  const lines = [
    'GET /v2\r\n\r\n',
    'GET /v2 HTTP/9.9\r\n\r\n',
    ' GET /v2 HTTP/1.1\r\nhost: a\r\n\r\n',
    'GET /v2 HTTP/1.1\nhost: a\n\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  ]
  for (const line of lines) assert.deepEqual(statuses(await send(line)), [400], JSON.stringify(line))
  assert.deepEqual(statuses(await send('POST /v2 HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n')), [400])
})

test('more headers than the limit are refused, not left out', async () => {
  const headers = (count: number) => `GET /v2 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n${'x: y\r\n'.repeat(count - 2)}\r\n`
  assert.deepEqual(statuses(await send(headers(128))), [200])
  for (const count of [129, 130, 2_001]) assert.deepEqual(statuses(await send(headers(count))), [431])
})

test('upgrades are not taken up, CONNECT and other expectations refused, and HTTP/1.0 answered', async () => {
  const close = 'connection: close\r\n\r\n'
  assert.deepEqual(statuses(await send('GET /v2 HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: close, upgrade\r\n\r\n')), [200])
  assert.deepEqual(statuses(await send('CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n')), [400])
  const unmet = await send(`POST /v2 HTTP/1.1\r\nhost: a\r\nexpect: 200-ok\r\n${close}`)
  assert.match(unmet, /^HTTP\/1.1 417 [^]*problem\+json/)
  assert.match(unmet, new RegExp(`content-length: ${unmet.length - unmet.indexOf('\r\n\r\n') - 4}\r\n`))
  assert.deepEqual(statuses(await send('GET /v2 HTTP/1.0\r\n\r\n')), [200])
  assert.deepEqual(statuses(await send(`GET http://a/v2 HTTP/1.1\r\nhost: a\r\n${close}`)), [200])
})

test('who asks before it sends is told to go on only when its body would be read', async () => {
  const expecting = (length: number, key = authorization) =>
    `POST /v2/models/tiny/infer HTTP/1.1\r\nhost: a\r\n${key}\r\nexpect: 100-continue\r\ncontent-length: ${length}\r\n`
  assert.deepEqual(statuses(await send(`${expecting(body.length)}connection: close\r\n\r\n${body}`)), [100, 200])
  assert.deepEqual(statuses(await send(`${expecting(9, 'x: y')}\r\n`)), [401])
  assert.deepEqual(statuses(await send(`${expecting(5_000_000)}\r\n`)), [413])
})

test('under /v1 a refusal is an error object of the OpenAI API, and speaks of no other', async () => {
  for (const [method, url, status] of [
    ['GET', '/v1/nothing', 404],
    ['POST', '/v1', 404],
    ['GET', '/v1/%', 400],
  ] as const) {
    const reply = await fixture.node.app.inject({ method, url })
    assert.ok([status, 401].includes(reply.statusCode), reply.body)
    assert.match(String(reply.headers['content-type']), /^application\/json/)
    assert.equal(typeof reply.json<{ error: { message: string } }>().error.message, 'string')
    assert.doesNotMatch(reply.body, /Open Inference/)
  }
  assert.match((await fixture.node.app.inject({ url: '/v10' })).body, /Open Inference Protocol/)
})

test('a compressed body is read; its event counts what was on the wire', async () => {
  const wire = gzipSync(body)
  assert.deepEqual(statuses(await send(post(wire, 'content-encoding: gzip'), 1)), [200])
  const [event] = await fixture.eventsOf('requests')
  assert.equal(event?.bytesIn, wire.length)
  assert.match(await send(post(wire, 'content-encoding: gzip, gzip'), 1), /^HTTP\/1.1 415 [^]*accept-encoding: gzip, deflate/)
})

test('a body that trickles is told so, and its event says why', async () => {
  await reopen({ minBodyRate: 1_000_000, requestMs: 20_000 })
  assert.deepEqual(statuses(await send(post(' '.repeat(1_000)).subarray(0, -500))), [408])
  const events = await fixture.eventsOf('requests')
  assert.deepEqual(
    events.map(({ status, outcome }) => [status, outcome]),
    [[408, 'invalid']],
  )
})

test('bodies for which there is no room get 503 before they are read, and room comes back', async () => {
  await reopen({ maxBufferedBytes: 4_000, maxBodyBytes: 3_000 })
  const holding = Promise.withResolvers<void>()
  fixture.runtime.gate = holding.promise
  const padded = body.padEnd(2_500)
  const first = send(post(padded), 1)
  await until(() => fixture.runtime.ran.length === 1)
  assert.match(await send(post(padded), 1), /^HTTP\/1.1 503 [^]*retry-after: 1\r/)
  holding.resolve()
  assert.deepEqual(statuses(await first), [200])
  assert.deepEqual(statuses(await send(post(padded), 1)), [200])
})

test('the client goes away while its body is read, while it waits, and while the model runs: one event each, and all is free again', async () => {
  await reopen({ maxBufferedBytes: 10_000, maxBodyBytes: 3_000 }, 1)
  const running = Promise.withResolvers<void>()
  fixture.runtime.gate = running.promise
  const gone: Socket[] = []
  const begin = (bytes: Buffer) => {
    const socket = connect(port, '127.0.0.1')
    gone.push(socket)
    socket.write(bytes)
  }
  begin(post(body))
  await until(() => fixture.runtime.ran.length === 1)
  // The second waits for a place; behind it on its connection a third, whose response is not even on the wire.
  begin(Buffer.concat([post(body), post(body)]))
  begin(post(body.padEnd(2_500)).subarray(0, -10))
  const inFlight = () => (fixture.node.pulse().detail as { inFlight: number }).inFlight
  await until(() => inFlight() === 3)
  // Those that wait go first: the place of the one that runs would be theirs.
  const [first, ...others] = gone
  for (const socket of others) socket.destroy()
  await until(() => inFlight() === 1)
  first?.destroy()
  await until(() => inFlight() === 0)
  running.resolve()
  const events = await fixture.eventsOf('requests')
  assert.deepEqual(
    events.map(({ outcome, status }) => [outcome, status]),
    Array.from({ length: 4 }, () => ['aborted', 499]),
  )
  assert.ok(
    events.every(({ client }) => client === events[0]?.client),
    'all from one address',
  )
  assert.equal(fixture.runtime.ran.length, 1, 'who left while it waited is not run')
  fixture.runtime.gate = undefined
  assert.deepEqual(statuses(await send(post(body.padEnd(2_900)), 1)), [200])
  const served = (await fixture.eventsOf('requests')).at(-1)
  assert.ok(
    events.every(({ client }) => client === served?.client),
    'who left has the address that it had',
  )
})

test('an answer that takes too long is 503, though nobody has a timer for it', async () => {
  await reopen({ inferMs: 100 })
  const never = Promise.withResolvers<void>()
  fixture.runtime.gate = never.promise
  assert.match(await send(post(body), 1), /^HTTP\/1.1 503 [^]*retry-after: 1\r/)
  never.resolve()
})

test('more requests on one connection than may wait, and more connections than there may be', async () => {
  await reopen({ maxPipelined: 2, maxConnections: 3 })
  const holding = Promise.withResolvers<void>()
  fixture.runtime.gate = holding.promise
  const pipelined = send(Buffer.concat([post(body), post(body), post(body), post(body)]))
  await until(() => fixture.runtime.ran.length === 2)
  const others = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')]
  await Promise.all(others.map((socket) => new Promise((resolve) => socket.once('connect', resolve))))
  assert.match(await send(''), /^HTTP\/1.1 503 [^]*retry-after: 1\r[^]*connection: close/)
  for (const socket of others) socket.destroy()
  holding.resolve()
  assert.deepEqual(statuses(await pipelined), [200, 200, 503])
})

test('what is refused for want of capacity costs no allowance', async () => {
  await reopen({ ordinary: { requests: 1, windowMs: 3_600_000 }, maxInFlight: 0 }, 1)
  const holding = Promise.withResolvers<void>()
  fixture.runtime.gate = holding.promise
  const { key } = await fixture.keys.create({ principal: 'bob' })
  const first = send(post(body), 1)
  await until(() => fixture.runtime.ran.length === 1)
  authorization = `authorization: Bearer ${key}`
  assert.deepEqual(statuses(await send(post(body), 1)), [503])
  holding.resolve()
  await first
  assert.deepEqual(statuses(await send(post(body), 1)), [200])
})

test('closing: not ready first, still serving; then what runs may finish for so long, and is told when its time is over', async () => {
  await reopen({ announceMs: 300, drainMs: 200 })
  const never = Promise.withResolvers<void>()
  const closed = fixture.node.close()
  assert.deepEqual(statuses(await send('GET /v2/health/ready HTTP/1.1\r\nhost: a\r\n\r\n')), [503])
  assert.deepEqual(statuses(await send(post(body))), [200], 'closed behind the answer, too')
  fixture.runtime.gate = never.promise
  const running = send(post(body))
  assert.match(await running, /^HTTP\/1.1 503 [^]*connection: close/i)
  await closed
  never.resolve()
  const events = await fixture.eventsOf('requests')
  assert.deepEqual(
    events.map(({ status }) => status),
    [200, 503],
  )
})
