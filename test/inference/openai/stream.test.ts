import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { connect } from 'node:net'
import { test } from 'node:test'
import { InferenceError } from '../../../inference/errors.ts'
import { targetOf } from '../../../schemas/index.ts'
import { until } from '../memory-bus.ts'
import { delta, events, hello, openTextFixture, spoken, type TextFixture } from './scripted-text.ts'

interface Listening extends TextFixture {
  readonly url: string
  /** Asks for a stream over a socket. */
  stream(change?: object): Promise<{ readonly sent: ClientRequest; readonly response: IncomingMessage }>
}

async function listen(bounds: object = {}, options: Parameters<typeof openTextFixture>[1] = {}): Promise<Listening> {
  const fixture = await openTextFixture(bounds, options)
  const { url } = await fixture.node.start({ host: '127.0.0.1', port: 0 })
  const stream = async (change: object = {}) => {
    const headers = { authorization: `Bearer ${fixture.key}`, 'content-type': 'application/json' }
    const sent = request(`${url}/v1/chat/completions`, { method: 'POST', headers })
    sent.on('error', () => {})
    sent.end(JSON.stringify({ ...hello, stream: true, ...change }))
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    return { sent, response }
  }
  return { ...fixture, url, stream }
}

/** What came so far. */
function collect(response: IncomingMessage): { text: string } {
  const seen = { text: '' }
  response.on('data', (piece) => {
    seen.text += piece
  })
  response.on('error', () => {})
  return seen
}

/** What came, and whether the answer ended as one does. */
async function readAll(response: IncomingMessage): Promise<{ text: string; complete: boolean }> {
  let text = ''
  response.setEncoding('utf8')
  try {
    for await (const piece of response) text += piece
  } catch {}
  return { text, complete: response.complete }
}

test('each word passes when it comes, and the event is on the log before [DONE] is sent', async () => {
  const fixture = await listen()
  const [role, word, end, counted, done] = spoken('hi')
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  fixture.text.script = () => ({
    body: (async function* () {
      yield Buffer.concat([role ?? '', word ?? ''] as Buffer[])
      await gates[0]?.promise
      yield Buffer.concat([end ?? '', counted ?? ''] as Buffer[])
      await gates[1]?.promise
      yield done as Buffer
    })(),
  })
  const { response } = await fixture.stream()
  const seen = collect(response)
  await until(() => seen.text === `${role}${word}`)
  gates[0]?.resolve()
  await until(() => seen.text === `${role}${word}${end}${counted}`)
  assert.deepEqual(await fixture.eventsOf('requests'), [])
  gates[1]?.resolve()
  await until(() => seen.text.endsWith('data: [DONE]\n\n'))
  assert.equal((await fixture.event()).outcome, 'served')
  await fixture.close()
})

for (const way of ['resetting the connection', 'ending its side'] as const)
  test(`a client that leaves half-way, ${way}: its upstream is told at once, and what it got is recorded`, async () => {
    const fixture = await listen()
    const [role, word] = spoken('hi')
    let stopped = false
    fixture.text.script = ({ cancellation }) => ({
      body: (async function* () {
        yield role as Buffer
        yield word as Buffer
        yield word as Buffer
        await new Promise<void>((resolve) => cancellation.onEnd(resolve))
        stopped = true
        throw new InferenceError('CANCELLED', 'the client went away')
      })(),
    })
    const { sent, response } = await fixture.stream()
    const seen = collect(response)
    await until(() => seen.text === `${role}${word}${word}`)
    if (way === 'ending its side') sent.socket?.end()
    else sent.socket?.resetAndDestroy()
    await until(() => stopped && fixture.text.ended === 1)
    const { outcome, status, tokensOut, tokenCount, bytesOut, streamed, cost } = await fixture.event()
    assert.deepEqual([outcome, status, tokensOut, tokenCount, bytesOut, streamed], ['aborted', 499, 2, 'estimated', seen.text.length, true])
    // What ran is paid for.
    assert.equal(cost, 0.5)
    assert.equal(fixture.node.pulse().ok, true)
    await fixture.close()
  })

test('a client that leaves before the first word', async () => {
  const fixture = await listen()
  let asked = false
  let stopped = false
  fixture.text.script = async ({ cancellation }) => {
    asked = true
    await new Promise<void>((resolve) => cancellation.onEnd(resolve))
    stopped = true
    throw new InferenceError('CANCELLED', 'the client went away')
  }
  const url = `http://127.0.0.1:${(fixture.node.app.server.address() as { port: number }).port}/v1/chat/completions`
  const sent = request(url, { method: 'POST', headers: { authorization: `Bearer ${fixture.key}`, 'content-type': 'application/json' } })
  sent.on('error', () => {})
  sent.end(JSON.stringify({ ...hello, stream: true }))
  await until(() => asked)
  sent.destroy()
  await until(() => stopped)
  await until(() => fixture.node.app.server.listening)
  const { outcome, tokensOut } = await fixture.event()
  assert.deepEqual([outcome, tokensOut], ['aborted', 0])
  await fixture.close()
})

test('an upstream that breaks off: an error event, and a body without an end', async () => {
  const fixture = await listen()
  const [role, word] = spoken('hi')
  fixture.text.script = () => ({
    body: (async function* () {
      yield role as Buffer
      yield word as Buffer
      throw new InferenceError('UPSTREAM_FAILED', 'secret-cause')
    })(),
  })
  const { response } = await fixture.stream()
  const { text, complete } = await readAll(response)
  assert.equal(complete, false)
  assert(text.startsWith(`${role}${word}data: {"error":`) && !text.includes('[DONE]') && !text.includes('secret-cause'))
  const error = JSON.parse(text.slice(text.lastIndexOf('data: ') + 6)).error
  assert.deepEqual([error.type, error.code], ['server_error', 'failed_upstream'])
  const { outcome, status, tokensOut } = await fixture.event()
  assert.deepEqual([outcome, status, tokensOut], ['failed', 200, 1])
  await fixture.close()
})

test('an answer that takes too long is broken off', async () => {
  const fixture = await listen({}, { limits: { generateMs: 300 } })
  const [role, word] = spoken('hi')
  const never = new Promise<void>(() => {})
  fixture.text.script = () => ({
    body: (async function* () {
      yield role as Buffer
      yield word as Buffer
      await never
    })(),
  })
  const { response } = await fixture.stream()
  const { text, complete } = await readAll(response)
  assert.deepEqual([complete, text.includes('"timed_out_upstream"')], [false, true])
  assert.equal((await fixture.event()).outcome, 'failed')
  await fixture.close()
})

test('a lease that denies ends a running stream', async () => {
  const fixture = await listen()
  const [role, word] = spoken('hi')
  const gate = Promise.withResolvers<void>()
  fixture.text.script = () => ({
    body: (async function* () {
      yield role as Buffer
      await gate.promise
      yield word as Buffer
    })(),
  })
  const { response } = await fixture.stream()
  const seen = collect(response)
  await until(() => seen.text === String(role))
  const lease = await fixture.contain(targetOf('principal', 'alice'), 'deny-principal')
  gate.resolve()
  await until(() => response.destroyed)
  const { text } = seen
  assert.deepEqual([response.complete, text.includes('"permission_error"'), text.includes('"hi"')], [false, true, false])
  const event = await fixture.event()
  assert.deepEqual([event.outcome, event.lease], ['denied', lease.id])
  await fixture.close()
})

test('a slow client makes the upstream wait', async () => {
  const fixture = await listen()
  const word = Buffer.concat(events(delta({ content: 'a'.repeat(16_384) })))
  const count = 4_096
  let made = 0
  fixture.text.script = () => ({
    body: (async function* () {
      for (made = 0; made < count; made++) {
        yield word
        await new Promise((resolve) => setImmediate(resolve))
      }
      yield* events(delta({}, 'stop'), '[DONE]')
    })(),
  })
  const { response } = await fixture.stream()
  // Nobody reads: what the sockets hold is all that is made.
  let before = -1
  while (before !== made) {
    before = made
    for (let i = 0; i < 2_000; i++) await new Promise((resolve) => setImmediate(resolve))
  }
  assert(made < count / 2, `made ${made} of ${count} words`)
  const { text, complete } = await readAll(response)
  assert.deepEqual([complete, text.length > count * 16_384, text.endsWith('data: [DONE]\n\n')], [true, true, true])
  assert.equal((await fixture.event()).outcome, 'served')
  await fixture.close()
})

test('an upstream that goes on after [DONE] is not listened to', async () => {
  const fixture = await listen()
  fixture.text.script = () => ({
    body: (function* () {
      yield* spoken('hi')
      for (;;) yield Buffer.from('data: more\n\n')
    })(),
  })
  const { response } = await fixture.stream()
  const { text, complete } = await readAll(response)
  assert.deepEqual([text, complete], [Buffer.concat(spoken('hi')).toString(), true])
  await until(() => fixture.text.ended === 1)
  await fixture.close()
})

test('a client of HTTP/1.0 gets its stream as it is, until the connection closes, whatever it says of transfer codings', async () => {
  const fixture = await listen()
  fixture.text.script = () => ({ body: spoken('hi') })
  const body = JSON.stringify({ ...hello, stream: true })
  const head = [
    'POST /v1/chat/completions HTTP/1.0',
    `Authorization: Bearer ${fixture.key}`,
    'Content-Type: application/json',
    'TE: chunked',
  ]
  const socket = connect(Number(new URL(fixture.url).port), '127.0.0.1')
  socket.write([...head, `Content-Length: ${body.length}`, '', body].join('\r\n'))
  let answer = ''
  for await (const piece of socket.setEncoding('latin1')) answer += piece
  assert.doesNotMatch(answer, /^transfer-encoding/im)
  assert.equal(answer.slice(answer.indexOf('\r\n\r\n') + 4), spoken('hi').join(''))
  await fixture.close()
})

for (const [what, options, outcome, said] of [
  ['its principal is denied', {}, 'denied', /permission_error/],
  ['its key is no longer good', { authenticator: { isGood: () => false } }, 'unauthenticated', /authentication_error/],
] as const)
  test(`a stream ends when ${what} meanwhile, and its event says so`, async () => {
    const identity = { principal: 'alice', organization: null, method: 'key', keyId: 'k', roles: [], capabilities: ['inference'] } as const
    const known = { ok: true, identity: { ...identity, createdAt: null, expiresAt: null, secondFactorAt: null } } as const
    const isGood = 'authenticator' in options ? options.authenticator.isGood : () => true
    const fixture = await listen({}, { limits: { streamLookMs: 0 }, authenticator: { authenticate: () => known, isGood } })
    const [role, word, end] = spoken('hi')
    const gate = Promise.withResolvers<void>()
    fixture.text.script = () => ({
      body: (async function* () {
        yield Buffer.concat([role ?? '', word ?? ''] as Buffer[])
        await gate.promise
        yield end as Buffer
      })(),
    })
    const { response } = await fixture.stream()
    const reading = readAll(response)
    if (outcome === 'denied') await fixture.contain(targetOf('principal', 'alice'), 'deny-principal')
    gate.resolve()
    const { text, complete } = await reading
    assert.equal(complete, false)
    assert.ok(!text.includes(String(end)))
    assert.match(text, said)
    const event = await fixture.event()
    assert.deepEqual([event.outcome, event.lease], [outcome, outcome === 'denied' ? 'principal:alice/deny-principal' : null])
    await fixture.close()
  })
