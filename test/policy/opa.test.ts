import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { OpaEngine, type OpaOptions } from '../../policy/opa.ts'
import type { PolicyDecision } from '../../policy/port.ts'
import { ask, noon } from './given.ts'

/** Speaks the data API: https://www.openpolicyagent.org/docs/rest-api#get-a-document-with-input */
type Behaviour = (input: unknown, response: ServerResponse, request: IncomingMessage) => void

function answer(document: object): Behaviour {
  return (_input, response) => response.setHeader('content-type', 'application/json').end(JSON.stringify(document))
}

describe('deciding by an Open Policy Agent', () => {
  let server: Server
  let behave: Behaviour
  let asked: { url: string | undefined; authorization: string | undefined; input: unknown }[]
  let now: number
  let engine: OpaEngine | undefined

  beforeEach(async () => {
    asked = []
    now = noon
    behave = answer({ result: true })
    server = createServer(async (request, response) => {
      const { input } = JSON.parse(await text(request)) as { input: unknown }
      asked.push({ url: `${request.method} ${request.url}`, authorization: request.headers.authorization, input })
      behave(input, response, request)
    })
    server.listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
  })
  afterEach(async () => {
    await engine?.close()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })

  function open(changes: Partial<OpaOptions> = {}): OpaEngine {
    const { port } = server.address() as AddressInfo
    const url = `http://127.0.0.1:${port}`
    // Long, since nothing here is to depend on how busy the machine is; those that wait for it set their own.
    engine = new OpaEngine({ url, path: 'cordon/decision', token: null, deadlineMs: 5_000, clock: () => now, ...changes })
    return engine
  }

  function plain({ tookMicros: _tookMicros, ...rest }: PolicyDecision) {
    return rest
  }

  it('asks for one document, with all that is known as input', async () => {
    const request = ask({ roles: ['analyst'], context: { risk: 0.5 } })
    const decision = await open({ token: 'secret' }).decide(request)
    assert.deepEqual(plain(decision), { allowed: true, policies: [], version: '', errors: [] })
    assert.deepEqual(asked, [{ url: 'POST /v1/data/cordon/decision?provenance=true', authorization: 'Bearer secret', input: request }])
  })

  it('takes who decided, the id of the decision and the revision of the bundle', async () => {
    behave = answer({
      result: { allow: false, policies: ['hours', 'risk'] },
      decision_id: '4ca636c1-55e4-417a-b1d8-4aceb67960d1',
      provenance: { version: '1.2.0', bundles: { cordon: { revision: 'r7' } } },
    })
    const opened = open()
    assert.deepEqual(plain(await opened.decide(ask())), {
      allowed: false,
      policies: ['hours', 'risk'],
      version: 'r7',
      errors: [],
      decisionId: '4ca636c1-55e4-417a-b1d8-4aceb67960d1',
    })
    assert.equal(opened.version, 'r7')
  })

  it('allows nothing where the document is undefined, as for a path that is not there', async () => {
    behave = answer({})
    const { allowed, errors } = await open().decide(ask())
    assert.deepEqual([allowed, errors], [false, ['cordon/decision is undefined for this input']])
  })

  const wrong: [string, Behaviour, RegExp][] = [
    ['fails', (_i, response) => response.writeHead(500).end('{"code":"internal_error"}'), /it answered 500/],
    ['refuses the token', (_i, response) => response.writeHead(401).end('{"result":true}'), /it answered 401/],
    ['redirects', (_i, response) => response.writeHead(302, { location: '/x' }).end('{"result":true}'), /it answered 302/],
    ['says what is no JSON', (_i, response) => response.end('<html>'), /JSON/],
    ['says neither yes nor no', answer({ result: 'true' }), /not what its API says/],
    ['says an object without allow', answer({ result: { policies: ['x'] } }), /not what its API says/],
    ['says too much', (_i, response) => response.end(' '.repeat(70_000)), /more than 65536 bytes/],
    ['hangs up', (_i, response) => response.destroy(), /.+/],
    [
      'hangs up halfway',
      (_i, response) => response.writeHead(200, { 'content-length': '15' }).write('{"result"', () => response.destroy()),
      /.+/,
    ],
  ]
  for (const [what, behaviour, reason] of wrong) {
    it(`allows nothing where it ${what}`, async () => {
      behave = behaviour
      const { allowed, policies, errors } = await open().decide(ask())
      assert.deepEqual([allowed, policies, errors[0]], [false, [], 'policy engine away'])
      assert.match(errors[1] ?? '', reason)
    })
  }

  it('allows nothing where it does not answer in time, nor where it does not end', async () => {
    behave = () => {}
    const opened = open({ deadlineMs: 30 })
    assert.deepEqual((await opened.decide(ask())).errors, ['policy engine away', 'it did not answer in time'])
    behave = (_input, response) => response.writeHead(200).write('{"result"')
    assert.deepEqual((await opened.decide(ask())).errors, ['policy engine away', 'it did not answer in time'])
  })

  it('allows nothing where nobody is there', async () => {
    const { allowed, errors } = await open({ url: 'http://127.0.0.1:1' }).decide(ask())
    assert.deepEqual([allowed, errors[0]], [false, 'policy engine away'])
  })

  it('leaves it alone after five failures in a row, and tries it with one request after a rest', async () => {
    behave = (_input, response) => response.writeHead(500).end()
    const opened = open()
    for (let i = 0; i < 7; i++) assert.equal((await opened.decide(ask())).allowed, false)
    assert.equal(asked.length, 5)
    assert.match((await opened.decide(ask())).errors[1] ?? '', /left alone/)
    now += 1_000
    behave = answer({ result: true })
    const three = await Promise.all([1, 2, 3].map(() => opened.decide(ask())))
    assert.deepEqual(
      three.map(({ allowed }) => allowed),
      [true, false, false],
    )
    assert.equal((await opened.decide(ask())).allowed, true)
    assert.equal(asked.length, 7)
  })

  it('does not count failures that are not in a row', async () => {
    const opened = open()
    for (let i = 0; i < 20; i++) {
      behave = i % 5 === 4 ? answer({ result: true }) : (_input, response) => response.writeHead(500).end()
      await opened.decide(ask())
    }
    assert.equal(asked.length, 20)
  })

  it('keeps to a base path, and to bounds of what it is told', async () => {
    const { port } = server.address() as AddressInfo
    behave = answer({ result: { allow: true, policies: Array.from({ length: 40 }, () => 'x'.repeat(500)) } })
    const { policies } = await open({ url: `http://127.0.0.1:${port}/opa/` }).decide(ask())
    assert.equal(asked[0]?.url, 'POST /opa/v1/data/cordon/decision?provenance=true')
    assert.deepEqual([policies.length, policies[0]?.length], [16, 128])
  })
})
