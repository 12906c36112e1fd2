import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import test, { type TestContext } from 'node:test'
import fc from 'fast-check'
import type { TextAnswer, TextRuntime } from '../../../inference/port.ts'
import { openOpenaiUpstream } from '../../../inference/upstream/openai.ts'
import { cancellation, codeOf, FakeUpstream, json, type Opening, opening, raw, type Settings, textCall } from './fake-upstream.ts'

const stream = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n'
const event = 'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
const size = event.length.toString(16)

async function bench(context: TestContext, settings: Settings = {}): Promise<Opening & { runtime: TextRuntime; server: FakeUpstream }> {
  const server = await FakeUpstream.open()
  server.documents.set('/v1/models', { object: 'list', data: [{ id: 'tiny' }] })
  const opened = opening('openai', [server.url], settings)
  const runtime = await openOpenaiUpstream(opened.options)
  context.after(async () => {
    await runtime.close()
    await server.close()
  })
  return { ...opened, runtime, server }
}

async function read(answer: TextAnswer): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of answer.body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function streaming(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
}

test('each operation has its path, the body goes as it came, and the models are those of the pool', async (context) => {
  const { runtime, server } = await bench(context, { version: 'v7', operations: ['chat', 'embedding'] })
  assert.deepEqual(runtime.info('tiny', 'v7'), {
    name: 'tiny',
    version: 'v7',
    platform: 'openai',
    operations: ['chat', 'embedding'],
    inputs: [],
    outputs: [],
    labels: [],
    digest: null,
  })
  server.answer = json({ object: 'chat.completion' })
  const body = Buffer.from('{ "model":"tiny",\n "seed": 12345678901234567890 }')
  for (const operation of ['chat', 'completion', 'embedding'] as const) {
    const answer = await runtime.generate(textCall({ operation, body }))
    assert.deepEqual([answer.status, answer.contentType, answer.endpoint], [200, 'application/json', `127.0.0.1:${server.port}`])
    assert.equal((await read(answer)).toString(), '{"object":"chat.completion"}')
  }
  assert.deepEqual(
    server.asked.map(({ url }) => url),
    ['/v1/chat/completions', '/v1/completions', '/v1/embeddings'],
  )
  for (const asked of server.asked) {
    assert.deepEqual(asked.body, body)
    assert.equal(asked.headers.authorization, 'Bearer upstream-secret')
    assert.equal(asked.headers['content-type'], 'application/json')
  }
})

test('a model that is called otherwise there is asked for by that name', async (context) => {
  const { runtime, server, lines } = await bench(context, { names: { tiny: 'meta/Tiny-1B' } })
  server.answer = json({})
  await read(await runtime.generate(textCall()))
  const [asked] = server.asked
  assert.deepEqual(JSON.parse(String(asked?.body)), { model: 'meta/Tiny-1B', messages: [{ role: 'user', content: 'hello' }] })
  assert.equal(lines.filter((line) => line.includes('does not list it')).length, 1)
})

test('a stream comes through byte for byte, however it is cut into pieces', async (context) => {
  const { runtime, server } = await bench(context)
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 5_000 }), { maxLength: 12 }),
      fc.boolean(),
      async (pieces, chunked) => {
        const whole = Buffer.concat(pieces)
        server.answer = async ({ response }) => {
          if (!chunked) response.setHeader('content-length', whole.length)
          streaming(response)
          for (const piece of pieces) {
            response.write(piece)
            await new Promise((resolve) => setImmediate(resolve))
          }
          response.end()
        }
        assert.deepEqual(await read(await runtime.generate(textCall({ stream: true }))), whole)
      },
    ),
    { seed: 11, numRuns: 60 },
  )
  assert.ok((await server.connections()) <= 2, 'on connections that are used again')
})

test('each chunk is handed on before the next is there', async (context) => {
  const { runtime, server } = await bench(context)
  server.answer = ({ response }) => streaming(response)
  const [answer, asked] = await Promise.all([
    runtime.generate(textCall({ stream: true })),
    server.next().then((one) => {
      one.response.flushHeaders()
      return one
    }),
  ])
  const chunks = answer.body[Symbol.asyncIterator]()
  for (const text of ['data: 1\n\n', 'data: 2\n\n', 'data: [DONE]\n\n']) {
    asked.response.write(text)
    assert.equal(Buffer.from((await chunks.next()).value ?? []).toString(), text)
  }
  asked.response.end()
  assert.equal((await chunks.next()).done, true)
  assert.equal((await chunks.next()).done, true)
})

for (const [what, answer, code, settings] of [
  ['is cut', raw(`${stream}transfer-encoding: chunked\r\n\r\n${size}\r\n${event}\r\n`, 'end'), 'UPSTREAM_FAILED', {}],
  [
    'is cut on a connection that closes',
    raw(`${stream}connection: close\r\ntransfer-encoding: chunked\r\n\r\n${size}\r\n${event}\r\n`, 'end'),
    'UPSTREAM_FAILED',
    {},
  ],
  ['pauses for too long', raw(`${stream}transfer-encoding: chunked\r\n\r\n${size}\r\n${event}\r\n`), 'UPSTREAM_TIMEOUT', { idleMs: 200 }],
  ['turns into garbage', raw(`${stream}transfer-encoding: chunked\r\n\r\n${size}\r\n${event}\r\nzz\r\n`), 'UPSTREAM_FAILED', {}],
] as const) {
  test(`a stream that ${what}: what came is handed on, then ${code} is thrown`, async (context) => {
    const { runtime, server } = await bench(context, settings)
    server.answer = answer
    const { body } = await runtime.generate(textCall({ stream: true }))
    const chunks = body[Symbol.asyncIterator]()
    assert.equal(Buffer.from((await chunks.next()).value ?? []).toString(), event)
    assert.equal(await codeOf(chunks.next()), code)
    assert.equal(runtime.depth('p'), 0)
    assert.equal(server.asked.length, 1, 'and nothing is asked again')
  })
}

test('leaving the iteration, or giving it back before it began, ends the work of the upstream', async (context) => {
  const { runtime, server } = await bench(context)
  server.answer = ({ response }) => {
    streaming(response)
    response.write(event)
  }
  for (const begin of [true, false]) {
    const arrived = server.next()
    const { body } = await runtime.generate(textCall({ stream: true }))
    const { closed } = await arrived
    if (begin) {
      for await (const chunk of body) {
        assert.equal(Buffer.from(chunk).toString(), event)
        break
      }
    } else await body[Symbol.asyncIterator]().return?.()
    await closed
    assert.equal(runtime.depth('p'), 0)
  }
})

test('a client that leaves mid-stream ends it: the upstream sees it at once, and the reader is told', async (context) => {
  const { runtime, server } = await bench(context)
  server.answer = ({ response }) => {
    streaming(response)
    response.write(event)
  }
  const leaving = cancellation()
  const arrived = server.next()
  const { body } = await runtime.generate(textCall({ stream: true, cancellation: leaving }))
  const chunks = body[Symbol.asyncIterator]()
  await chunks.next()
  const pending = codeOf(chunks.next())
  leaving.abort()
  assert.equal(await pending, 'CANCELLED')
  await (await arrived).closed
})

test('a stream that begins brings an ejected endpoint back, however long it goes on', async (context) => {
  const { runtime, server, clock } = await bench(context, { outlier: { consecutiveFailures: 1, baseEjectionMs: 1_000 } })
  const { port } = server
  await server.close()
  while (runtime.ready('p')) await codeOf(runtime.generate(textCall()))
  const again = await FakeUpstream.open(port)
  context.after(() => again.close())
  again.answer = ({ response }) => {
    streaming(response)
    response.write(event)
  }
  clock.now = 1_000
  await runtime.generate(textCall({ stream: true }))
  assert.ok(runtime.ready('p'))
  await runtime.generate(textCall({ stream: true }))
  assert.equal(runtime.depth('p'), 2)
})

test('a reader that is slow slows the upstream down, instead of filling the memory', async (context) => {
  const { runtime, server } = await bench(context, { idleMs: 250 })
  const piece = Buffer.alloc(65_536, 0x61)
  const pieces = 400
  let written = 0
  server.answer = async ({ response }) => {
    streaming(response)
    for (; written < pieces; written++) if (!response.write(piece)) await once(response, 'drain')
    response.end()
  }
  const { body } = await runtime.generate(textCall({ stream: true }))
  let before = -1
  // Nothing moves for longer than the pause that is allowed: a pause of ours is none of the upstream's.
  while (before !== written) {
    before = written
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
  assert.ok(written < pieces, `${written} pieces of 64 KiB were taken`)
  let bytes = 0
  for await (const chunk of body) bytes += chunk.length
  assert.equal(bytes, pieces * piece.length)
})

test('a refusal of this request is passed on, where it is JSON; anything else is said in our words', async (context) => {
  const { runtime, server } = await bench(context)
  const refusal = { error: { message: 'max_tokens is too large', type: 'invalid_request_error' } }
  server.answer = json(refusal, 400)
  const answer = await runtime.generate(textCall())
  assert.deepEqual([answer.status, answer.contentType], [400, 'application/json'])
  assert.deepEqual(JSON.parse(String(await read(answer))), refusal)
  server.answer = ({ response }) => response.writeHead(422, { 'content-type': 'application/json' }).end('<h1>internal host 10.0.0.7</h1>')
  await assert.rejects(runtime.generate(textCall()), {
    code: 'UPSTREAM_REFUSED',
    message: /^The model's server refuses the request with status 422$/,
  })
  server.answer = json({ error: 'x'.repeat(70_000) }, 400)
  assert.equal(await codeOf(runtime.generate(textCall())), 'UPSTREAM_FAILED')
})

test('statuses and kinds that are no answer are thrown before anything is handed on', async (context) => {
  const { runtime, server } = await bench(context)
  for (const [answer, code] of [
    [json({ error: 'secret' }, 500), 'UPSTREAM_FAILED'],
    [json({ error: 'secret' }, 401), 'UPSTREAM_FAILED'],
    [json({}, 429), 'UPSTREAM_BUSY'],
    [json({}, 503), 'UPSTREAM_BUSY'],
    [({ response }: { response: ServerResponse }) => response.writeHead(200, { 'content-type': 'text/html' }).end(), 'UPSTREAM_FAILED'],
  ] as const) {
    server.answer = answer
    assert.equal(await codeOf(runtime.generate(textCall())), code)
  }
})

test('an answer that is no stream is bounded', async (context) => {
  const { runtime, server } = await bench(context)
  server.answer = async ({ response }) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    const piece = Buffer.alloc(4_194_304, 0x20)
    response.setMaxListeners(0)
    while (!response.destroyed)
      if (!response.write(piece)) await new Promise<void>((resolve) => response.once('drain', resolve).once('close', resolve))
  }
  let bytes = 0
  const { body } = await runtime.generate(textCall())
  const reading = (async () => {
    for await (const chunk of body) bytes += chunk.length
  })()
  assert.equal(await codeOf(reading), 'UPSTREAM_FAILED')
  assert.ok(bytes <= 67_108_864, `${bytes} bytes were handed on`)
})

test('after close no connection is left, and a stream that was under way says so', async (context) => {
  const { runtime, server } = await bench(context)
  server.answer = ({ response }) => {
    streaming(response)
    response.write(event)
  }
  const { body } = await runtime.generate(textCall({ stream: true }))
  const chunks = body[Symbol.asyncIterator]()
  await chunks.next()
  const pending = codeOf(chunks.next())
  await runtime.close()
  assert.equal(await pending, 'CLOSED')
  while ((await server.connections()) > 0) await new Promise((resolve) => setImmediate(resolve))
})
