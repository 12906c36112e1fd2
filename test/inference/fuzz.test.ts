import assert from 'node:assert/strict'
import { METHODS } from 'node:http'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import * as fc from 'fast-check'
import { type Fixture, inferBody, openFixture } from './node-fixture.ts'

let fixture: Fixture
let port: number
let key: string

before(async () => {
  fixture = await openFixture()
  port = (await fixture.node.start({ host: '127.0.0.1', port: 0 })).port
  key = (await fixture.keys.create({ principal: 'alice' })).key
})
after(() => fixture.close())

const routes = [
  '/v2',
  '/v2/health/live',
  '/v2/health/ready',
  '/health',
  '/metrics',
  '/v2/models/tiny',
  '/v2/models/tiny/ready',
  '/v2/models/tiny/versions/1',
  '/v2/models/tiny/versions/1/ready',
  '/v2/models/tiny/infer',
  '/v2/models/tiny/versions/1/infer',
]

/** Sends bytes as they are and reads until the node closes; fails when it does not within 5 s. */
function exchange(bytes: string | Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('close', () => resolve(Buffer.concat(chunks).toString()))
    // A reset after the answer is the node refusing the rest of a body.
    socket.on('error', () => {})
    socket.setTimeout(5_000, () => {
      reject(new Error(`no answer within 5 s, got ${JSON.stringify(Buffer.concat(chunks).toString())}`))
      socket.destroy()
    })
  })
}

function assertSafe(reply: string, method: string): void {
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(reply)?.[1])
  assert.ok(status >= 200 && status < 500, reply)
  if (status < 400) return
  assert.match(reply, /\r\ncontent-type: application\/problem\+json/i)
  if (method === 'HEAD') return
  const problem = JSON.parse(reply.slice(reply.indexOf('\r\n\r\n') + 4)) as Record<string, unknown>
  assert.equal(problem.status, status)
  assert.equal(typeof problem.error, 'string')
}

function request(method: string, path: string, headers: readonly (readonly [string, string])[], body: string): Buffer {
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  const length = Buffer.byteLength(body)
  return Buffer.from(`${method} ${path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: ${length}\r\n${lines}\r\n${body}`)
}

const visible = fc.string({ unit: 'binary', maxLength: 40 }).map((text) => text.replaceAll(/[\s\0]/g, '').replaceAll(/\p{Cc}/gu, ''))
const token = fc.stringMatching(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,20}$/)
const method = fc.constantFrom(...METHODS.filter((name) => name !== 'CONNECT'))
const path = fc.oneof(
  fc.constantFrom(...routes),
  visible.map((text) => `/${text}`),
  fc.tuple(fc.constantFrom(...routes), visible).map(([route, text]) => `${route}/${text}`),
  visible.map((name) => `/v2/models/${name}/infer`),
  visible.map((name) => `/v2/models/${encodeURIComponent(name.toWellFormed())}/versions/%${name.slice(0, 2)}/infer?${name}`),
  fc.constantFrom(
    '*',
    '//',
    '/v2/models/',
    '/v2/models//infer',
    '/v2/models/%2e%2e/infer',
    `/v2/models/${'a'.repeat(600)}`,
    'http://b/v2',
    '/%',
  ),
)
const authorization = fc.oneof(
  fc.constant(''),
  visible,
  visible.map((text) => `Bearer ${text}`),
  fc.nat({ max: 62 }).map((at) => `Bearer ${key.slice(0, at)}${at % 2 === 0 ? '0' : '_'}${key.slice(at + 1)}`),
)
const contentType = fc.constantFrom(
  'application/json',
  'application/json; charset=latin1',
  'text/plain',
  'application/octet-stream',
  ';',
  'a/b;c',
)
/** Headers that would change how the rest is read. */
const framing = new Set(['connection', 'content-length', 'transfer-encoding', 'upgrade', 'expect'])
const run = { numRuns: 300, seed: 20_261_121 }

test('any method, path and headers: an answer below 500, and a problem where it refuses', async () => {
  await fc.assert(
    fc.asyncProperty(
      method,
      path,
      authorization,
      fc.array(fc.tuple(token, visible), { maxLength: 5 }),
      async (method, path, bearer, headers) => {
        const others = headers.filter(([name]) => !framing.has(name.toLowerCase()))
        assertSafe(await exchange(request(method, path, [['authorization', bearer], ...others], '')), method)
      },
    ),
    run,
  )
})

const json = fc.oneof(
  fc.json({ maxDepth: 4 }),
  fc.string(),
  fc.constantFrom('[', '{"inputs":', '"\\ud800"', 'null', '1e999', '[[[[[[[[[[[[]]]]]]]]]]]]'),
)

test('any body with a good key: an answer below 500, and a problem where it refuses', async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...routes), json, contentType, async (path, body, type) => {
      const headers: [string, string][] = [
        ['authorization', `Bearer ${key}`],
        ['content-type', type],
      ]
      assertSafe(await exchange(request('POST', path, headers, body)), 'POST')
    }),
    run,
  )
})

/** A good request with one part of it replaced by anything. */
const almost = fc
  .tuple(
    fc.constantFrom('id', 'parameters', 'inputs', 'outputs', 'name', 'shape', 'datatype', 'data', 'extra'),
    fc.jsonValue({ maxDepth: 3 }),
    fc.nat({ max: 3 }),
  )
  .map(([part, value, items]) => {
    const body = inferBody(items) as { inputs: Record<string, unknown>[] }
    const inEnvelope = ['id', 'parameters', 'inputs', 'outputs'].includes(part)
    return JSON.stringify(inEnvelope ? { ...body, [part]: value } : { inputs: [{ ...body.inputs[0], [part]: value }] })
  })

test('an almost good request: 200 or a problem that says why', async () => {
  const statuses = new Set<string>()
  await fc.assert(
    fc.asyncProperty(almost, async (body) => {
      const reply = await exchange(request('POST', '/v2/models/tiny/infer', [['authorization', `Bearer ${key}`]], body))
      assertSafe(reply, 'POST')
      statuses.add(reply.slice(9, 12))
    }),
    run,
  )
  // 400: data that hold objects, whose names nobody looks at one by one.
  assert.deepEqual([...statuses].sort(), ['200', '400', '422'])
})

test('bytes that are hardly HTTP: a problem, not silence', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ minLength: 1, maxLength: 200 }),
      fc.constantFrom('', 'GET ', 'POST /v2 HTTP/1.1\r\n', 'GET / HTTP/9.9\r\n'),
      async (bytes, head) => {
        assertSafe(await exchange(Buffer.concat([Buffer.from(head), bytes, Buffer.from('\r\n\r\n\0\r\n\r\n')])), '')
      },
    ),
    run,
  )
  const odd = [
    'CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n',
    'GET /v2 HTTP/1.1\r\nconnection: close\r\n\r\n',
    'POST /v2/models/tiny/infer HTTP/1.1\r\nhost: a\r\nexpect: the impossible\r\ncontent-length: 1\r\n\r\n',
    'POST /v2 HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    'GET /v2 HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n',
  ]
  for (const bytes of odd) assertSafe(await exchange(bytes), '')
})

test('after all that the node serves as before, and no key was lost', async () => {
  const headers: [string, string][] = [
    ['authorization', `Bearer ${key}`],
    ['content-type', 'application/json'],
  ]
  const reply = await exchange(request('POST', '/v2/models/tiny/infer', headers, JSON.stringify(inferBody())))
  assert.match(reply, /^HTTP\/1\.1 200 /)
  assert.equal(fixture.emitter.state().dropped, 0)
  assert.equal(Object.hasOwn(Object.prototype, 'polluted'), false)
})
