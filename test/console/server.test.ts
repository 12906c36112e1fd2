import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { FastifyInstance } from 'fastify'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { createConsole } from '../../console/server.ts'
import { at, containment, deadLetter, type FakePorts, fakePorts, finding, incident } from './ports.ts'

const token = 'operator-token'
const authorization = `Bearer ${token}`

async function open(t: { after(fn: () => Promise<void>): void }): Promise<{ app: FastifyInstance; ports: FakePorts }> {
  const ports = fakePorts()
  const app = await createConsole({ ports, token, registry: new Registry(), log: pino({ level: 'silent' }) })
  t.after(() => app.close())
  return { app, ports }
}

describe('console API', () => {
  it('answers nobody without the token, and says how to get in', async (t) => {
    const { app } = await open(t)
    for (const given of [undefined, '', 'Bearer', 'Bearer wrong', `Basic ${token}`, `Bearer ${token}x`, `bearer ${token}`]) {
      const answer = await app.inject({ url: '/api/incidents', headers: given === undefined ? {} : { authorization: given } })
      assert.equal(answer.statusCode, 401, String(given))
      assert.match(answer.headers['content-type'] as string, /problem\+json/)
    }
    assert.equal((await app.inject({ url: '/health' })).statusCode, 200)
    assert.equal((await app.inject({ url: '/metrics' })).statusCode, 200)
  })

  it('lets nobody in without a token, even where the token it was given is empty', async (t) => {
    const app = await createConsole({ ports: fakePorts(), token: '', registry: new Registry(), log: pino({ level: 'silent' }) })
    t.after(() => app.close())
    for (const headers of [{}, { authorization: '' }, { authorization: 'Bearer ' }]) {
      assert.equal((await app.inject({ url: '/api/keys', headers })).statusCode, 401)
    }
  })

  it('lets no cache keep an answer', async (t) => {
    const { app } = await open(t)
    for (const url of ['/api/keys', '/api/status', '/api/nothing', '/health']) {
      assert.equal((await app.inject({ url, headers: { authorization } })).headers['cache-control'], 'no-store', url)
    }
  })

  const routes: readonly [method: 'GET' | 'POST', url: string, body: object | undefined, status: number, expected: RegExp][] = [
    ['GET', '/api/status', undefined, 200, /"ready":true/],
    ['GET', '/api/findings', undefined, 200, /"eventsSeen":14/],
    ['GET', '/api/findings?principal=mallory', undefined, 200, /"id":"aaaa/],
    ['GET', '/api/findings?principal=bob', undefined, 200, /"findings":\[\]/],
    ['GET', `/api/findings?since=${at + 1}`, undefined, 200, /"findings":\[\]/],
    ['GET', '/api/findings?limit=0', undefined, 422, /limit/],
    ['GET', '/api/incidents', undefined, 200, /"state":"contained"/],
    ['GET', '/api/incidents?state=open', undefined, 200, /"incidents":\[\]/],
    ['GET', `/api/incidents/${incident.id}`, undefined, 200, /"enforcedAfterMs":21/],
    ['GET', '/api/incidents/bbbbbb', undefined, 200, /"findings":\[\{"id":"aaaa/],
    ['GET', '/api/incidents/cccccc', undefined, 404, /no incident/],
    ['GET', '/api/incidents/..%2f..%2fetc', undefined, 422, /hex/],
    ['GET', `/api/incidents/${incident.id}/unseen`, undefined, 200, /"state":"watched"/],
    ['GET', '/api/incidents/cccccc/unseen', undefined, 404, /no incident/],
    ['GET', '/api/containments?state=active', undefined, 200, /throttle-principal/],
    [
      'POST',
      '/api/containments',
      { target: 'principal:x', action: 'throttle-principal', forMs: 60_000, reason: 'r', by: 'me' },
      201,
      /active/,
    ],
    [
      'POST',
      '/api/containments',
      { target: 'planet:x', action: 'throttle-principal', forMs: 60_000, reason: 'r', by: 'me' },
      422,
      /kind:id/,
    ],
    ['POST', '/api/containments', { target: 'principal:x', action: 'a', forMs: 60_000, reason: '', by: 'me' }, 422, /reason/],
    ['POST', '/api/containments/release', { id: 'principal:mallory/throttle-principal', by: 'me' }, 200, /"released"/],
    ['POST', '/api/containments/release', { id: 'principal:other/throttle-principal', by: 'me' }, 404, /no active containment/],
    ['GET', '/api/containments/one?id=principal:mallory%2Fthrottle-principal', undefined, 200, /"awaiting":\["node-2"\]/],
    ['GET', '/api/containments/one?id=principal:other%2Fx', undefined, 404, /no containment/],
    ['GET', '/api/containments/one', undefined, 422, /id/],
    ['GET', '/api/dead-letters', undefined, 200, /"offset":41/],
    ['GET', '/api/dead-letters?topic=requests', undefined, 200, /"deadLetters":\[\]/],
    ['GET', '/api/dead-letters?limit=1001', undefined, 422, /limit/],
    ['GET', '/api/dead-letters?since=soon', undefined, 422, /since/],
    ['GET', `/api/dead-letters/one?id=${deadLetter.id}`, undefined, 200, /"code":"INVALID_DATA"/],
    ['GET', '/api/dead-letters/one?id=019a0000-0000-7000-8000-000000000002', undefined, 404, /no dead letter/],
    ['GET', '/api/dead-letters/one?id=..%2fx', undefined, 422, /id/],
    ['POST', '/api/dead-letters/replay', { id: deadLetter.id, by: 'me' }, 200, /"offset":77/],
    ['POST', '/api/dead-letters/replay', { id: deadLetter.id }, 200, /"offset":77/],
    ['POST', '/api/dead-letters/replay', { by: 'me' }, 422, /id/],
    ['GET', '/api/models', undefined, 200, /"current":"2"/],
    // The machine's token has the capability `administration` alone.
    ['POST', '/api/models/promote', { model: 'digits', version: '3' }, 403, /"FORBIDDEN".*promotion/],
    ['POST', '/api/dead-letters/replay', { id: '019a0000-0000-7000-8000-000000000002', by: 'me' }, 404, /no dead letter/],
    ['POST', '/api/keys', { principal: 'alice' }, 201, /"keyId":"abcdefghijkl"/],
    ['POST', '/api/keys', { principal: 'a b' }, 422, /principal/],
    ['POST', '/api/keys', { principal: 'alice', admin: true }, 422, /admin/i],
    ['POST', '/api/keys/revoke', { keyId: 'abcdefghijkl' }, 200, /"revoked"/],
    ['POST', '/api/keys/revoke', { keyId: 'nope' }, 404, /no key/],
    ['POST', '/api/keys/rotate', { what: 'alice', overlapMs: 1 }, 200, /mnopqrstuvwx/],
    ['POST', '/api/keys/rotate', { what: 'bob', overlapMs: 1 }, 404, /bob/],
    ['POST', '/api/keys/claim', { what: 'alice' }, 404, /waits to be claimed/],
    ['POST', '/api/query', { sql: 'SELECT 1 AS one' }, 200, /"one":1/],
    ['POST', '/api/query', { name: 'findings', sql: 'SELECT 1' }, 422, /request/],
    ['GET', '/nowhere', undefined, 404, /nothing here/],
  ]
  for (const [method, url, body, status, expected] of routes) {
    it(`${method} ${url} ${body === undefined ? '' : JSON.stringify(body)} is ${status}`, async (t) => {
      const { app } = await open(t)
      const answer = await app.inject({ method, url, headers: { authorization }, ...(body === undefined ? {} : { payload: body }) })
      assert.equal(answer.statusCode, status, answer.body)
      assert.match(answer.body, expected)
    })
  }

  it('tells a stranger how each role does, and no more', async (t) => {
    const ports = fakePorts()
    const well = await ports.status()
    const roles = [{ role: 'node', ok: false, summary: 'no process of this role is running', detail: { gone: ['node-1'] } }] as const
    ports.status = async () => ({ ...well, ready: false, roles })
    const app = await createConsole({ ports, token, registry: new Registry(), log: pino({ level: 'silent' }) })
    t.after(() => app.close())
    const answer = await app.inject({ url: '/health' })
    assert.equal(answer.statusCode, 503)
    const summary = 'no process of this role is running'
    assert.deepEqual(answer.json(), { status: 'starting', roles: [{ role: 'node', ok: false, summary }] })
  })

  it('says who asked for a key, where they said', async (t) => {
    const { app, ports } = await open(t)
    const create = (payload: object) => app.inject({ method: 'POST', url: '/api/keys', headers: { authorization }, payload })
    await create({ principal: 'alice', by: 'olga' })
    await create({ principal: 'bob' })
    const anywhere = { addresses: [], origins: [], roles: [], capabilities: ['inference'] }
    const asked = (principal: string) => ({ principal, organization: null, expiresAt: null, ...anywhere })
    assert.deepEqual(ports.calls, [
      ['create', asked('alice'), 'olga'],
      ['create', asked('bob'), 'operator'],
    ])
  })

  it('streams changes as lines', async (t) => {
    const { app, ports } = await open(t)
    const url = await app.listen({ port: 0, host: '127.0.0.1' })
    const abort = new AbortController()
    const response = await fetch(`${url}/api/stream`, { headers: { authorization }, signal: abort.signal })
    const reader = (response.body as ReadableStream<BufferSource>).pipeThrough(new TextDecoderStream()).getReader()
    await reader.read()
    ports.emit({ finding, incident, containment: containment(at) })
    let text = ''
    while ((text.match(/\n/g) ?? []).length < 3) text += (await reader.read()).value ?? ''
    abort.abort()
    assert.deepEqual(
      text
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { type: string }).type),
      ['incident', 'finding', 'containment'].sort((a, b) => text.indexOf(`"type":"${a}"`) - text.indexOf(`"type":"${b}"`)),
    )
  })

  for (const path of ['/api/stream', '/api/findings/stream']) {
    it(`has no HEAD of ${path}, which would never end`, { timeout: 10_000 }, async (t) => {
      const { app } = await open(t)
      const url = await app.listen({ port: 0, host: '127.0.0.1' })
      const { status } = await fetch(`${url}${path}`, { method: 'HEAD', headers: { authorization, connection: 'close' } })
      assert.equal(status, 404)
    })

    it(`ends ${path} when the console closes, rather than wait for its reader`, { timeout: 10_000 }, async () => {
      const ports = fakePorts()
      const app = await createConsole({ ports, token, registry: new Registry(), log: pino({ level: 'silent' }) })
      const url = await app.listen({ port: 0, host: '127.0.0.1' })
      const response = await fetch(`${url}${path}`, { headers: { authorization } })
      const reader = (response.body as ReadableStream<Uint8Array>).getReader()
      await reader.read()
      const ended = reader.closed.then(
        () => true,
        () => true,
      )
      const began = performance.now()
      await app.close()
      assert.ok(performance.now() - began < 2_000, 'the console waited for a stream')
      assert.equal(await ended, true)
    })
  }

  it('answers a 4xx problem to anything malformed, never a 5xx', async (t) => {
    const { app } = await open(t)
    const paths = [
      '/api/keys',
      '/api/keys/revoke',
      '/api/keys/rotate',
      '/api/keys/claim',
      '/api/containments',
      '/api/containments/release',
      '/api/query',
      '/api/actions/approve',
      '/api/dead-letters/replay',
      '/api/models/promote',
    ]
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...paths),
        fc.oneof(fc.json(), fc.string({ unit: 'binary' }), fc.constant('{"__proto__":{"a":1}}'), fc.constant('['.repeat(50_000))),
        fc.constantFrom('application/json', 'text/plain', 'application/xml', '', 'application/json; charset=\u00ff'),
        async (url, payload, type) => {
          const answer = await app.inject({ method: 'POST', url, payload, headers: { authorization, 'content-type': type } })
          assert.ok(answer.statusCode >= 400 && answer.statusCode < 500, `${answer.statusCode} ${answer.body}`)
          assert.match(answer.headers['content-type'] as string, /problem\+json/)
          assert.equal(typeof answer.json().error, 'string')
        },
      ),
      { numRuns: 300, seed: 7 },
    )
  })
})
