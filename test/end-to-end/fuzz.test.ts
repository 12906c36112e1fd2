import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { type Instance, startInstance, temporaryDataDir } from './instance.ts'

const bodies = fc.oneof(
  fc.json(),
  fc.string({ unit: 'binary', maxLength: 2_000 }),
  fc.constant('{"__proto__":{"admin":true},"inputs":[]}'),
  fc.constant(`${'['.repeat(20_000)}`),
  fc
    .record(
      {
        inputs: fc.array(
          fc.record(
            { name: fc.string(), shape: fc.array(fc.integer()), datatype: fc.string(), data: fc.array(fc.double()) },
            { requiredKeys: [] },
          ),
          { maxLength: 3 },
        ),
      },
      { requiredKeys: [] },
    )
    .map((value) => JSON.stringify(value)),
  fc
    .record({
      shape: fc.constantFrom([1, 28, 28, 1], [2, 28, 28, 1], [0, 28, 28, 1], [-1, 28, 28, 1], [1e9, 28, 28, 1]),
      value: fc.constantFrom('null', '1e999', '-1', '2', '"x"', 'NaN'),
    })
    .map(
      ({ shape, value }) =>
        `{"inputs":[{"name":"image","datatype":"FP32","shape":${JSON.stringify(shape)},"data":[${new Array(784).fill(value).join(',')}]}]}`,
    ),
)
const types = fc.constantFrom(
  'application/json',
  'application/x-ndjson',
  'text/plain',
  'multipart/form-data',
  '',
  'application/json; charset=utf-7',
)
const segment = fc.oneof(
  fc.constantFrom('digits', '..', '%00', '%2e%2e', '1', '2', 'infer', 'versions', '__proto__', 'é', '%ff'),
  fc.webSegment(),
)

describe('malformed input to every route of the started binary', () => {
  let instance: Instance
  let key: string
  let token: string
  const cleanups: (() => Promise<void>)[] = []
  before(async () => {
    const dataDir = temporaryDataDir({ after: (fn) => cleanups.push(fn) })
    instance = await startInstance({ dataDir })
    key = (await instance.createKey('fuzzer')).key
    token = (await import('node:fs')).readFileSync(`${dataDir}/token`, 'utf8').trim()
  })
  after(async () => {
    await instance?.stop()
    for (const cleanup of cleanups) await cleanup()
  })

  async function send(url: string, init: RequestInit): Promise<void> {
    const response = await fetch(url, { ...init, signal: AbortSignal.timeout(10_000) })
    const text = await response.text()
    assert.ok(response.status < 500, `${init.method} ${url} answered ${response.status}: ${text.slice(0, 300)}`)
    if (response.status < 400) return
    assert.match(response.headers.get('content-type') ?? '', /application\/problem\+json/, `${url}: ${response.status}`)
    const problem = JSON.parse(text) as { error?: unknown; status?: unknown }
    assert.equal(typeof problem.error, 'string')
    assert.equal(problem.status, response.status)
  }

  const routes: readonly string[] = [
    '/v2/models/digits/infer',
    '/v2/models/digits/versions/1/infer',
    '/v2/models/digits/versions/99/infer',
    '/v2/models/other/infer',
  ]
  it('bodies to the node', () =>
    fc.assert(
      fc.asyncProperty(fc.constantFrom(...routes), bodies, types, async (path, body, type) => {
        await send(instance.inference + path, { method: 'POST', body, headers: { authorization: `Bearer ${key}`, 'content-type': type } })
      }),
      { numRuns: 400, seed: 1 },
    ))

  it('paths and methods to the node', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(segment, { maxLength: 6 }),
        fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'),
        async (parts, method) => {
          await send(`${instance.inference}/v2/${parts.join('/')}`, { method, headers: { authorization: `Bearer ${key}` } })
        },
      ),
      { numRuns: 300, seed: 2 },
    ))

  it('keys to the node', () =>
    fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string(),
          fc.constantFrom('', 'Bearer', 'Bearer x', `Bearer ${'a'.repeat(4_000)}`, 'Basic eDp5', 'Bearer cordon_abcdefghijkl_x'),
        ),
        async (authorization) => {
          const safe = authorization.replaceAll(/[^\x20-\x7e]/g, '?')
          await send(`${instance.inference}/v2/models/digits/infer`, {
            method: 'POST',
            body: '{}',
            headers: { authorization: safe, 'content-type': 'application/json' },
          })
        },
      ),
      { numRuns: 100, seed: 3 },
    ))

  it('bodies to the console and the collector', () =>
    fc.assert(
      fc.asyncProperty(
        fc.constantFrom(
          '/api/keys',
          '/api/keys/rotate',
          '/api/containments',
          '/api/containments/release',
          '/api/query',
          '/v1/flows',
          '/v1/telemetry',
        ),
        bodies,
        types,
        async (path, body, type) => {
          await send(instance.console + path, { method: 'POST', body, headers: { authorization: `Bearer ${token}`, 'content-type': type } })
        },
      ),
      { numRuns: 300, seed: 4 },
    ))

  it('bytes that are no HTTP', async () => {
    const { port } = new URL(instance.inference)
    for (const bytes of [
      '\u0000\u0001\u0002\r\n\r\n',
      'GET / HTTP/9.9\r\n\r\n',
      'POST /v2 HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello',
      'POST /v2/models/digits/infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc',
    ]) {
      const answer = await raw(Number(port), bytes)
      assert.doesNotMatch(answer, /HTTP\/1\.1 5\d\d/, JSON.stringify(bytes))
    }
  })

  it('leaves it serving, with every key it had', async () => {
    const image = { inputs: [{ name: 'image', shape: [1, 28, 28, 1], datatype: 'FP32', data: new Array(784).fill(0) }] }
    const response = await fetch(`${instance.inference}/v2/models/digits/infer`, {
      method: 'POST',
      body: JSON.stringify(image),
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    })
    assert.equal(response.status, 200, await response.text())
    assert.ok((await instance.cordon<{ principal: string }>('keys', 'list')).some((k) => k.principal === 'fuzzer'))
    assert.equal(instance.log().includes(key), false)
  })
})

function raw(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect(port, '127.0.0.1', () => socket.end(bytes, 'latin1'))
    socket.setTimeout(15_000, () => socket.destroy())
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
    })
    socket.on('close', () => resolve(text))
    socket.on('error', (error: NodeJS.ErrnoException) => (error.code === 'ECONNRESET' ? resolve(text) : reject(error)))
  })
}
