import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { InferenceError } from '../../../inference/errors.ts'
import { targetOf } from '../../../schemas/index.ts'
import { delta, events, hello, json, openTextFixture, said, spoken, type TextFixture } from './scripted-text.ts'

let fixture: TextFixture

before(async () => {
  fixture = await openTextFixture({ maxTokens: 100 })
})
after(() => fixture.close())

const answers = (script: TextFixture['text']['script']) => {
  fixture.text.script = script
}

test('a chat: the same bytes there and back, and what its event says', async () => {
  const answer = Buffer.from(`${JSON.stringify(said('hi'), null, 2)}\n`)
  answers(() => ({ body: [answer.subarray(0, 10), answer.subarray(10)] }))
  const body = Buffer.from(
    `{"messages": [{"role":"user","content":"h\\u0069"}], "temperature":0.5,"n":2, "max_tokens":7, "model":"parrot"}`,
  )
  const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const response = await fixture.ask('/v1/chat/completions', body, { traceparent: trace })
  assert.equal(response.status, 200)
  assert.equal(response.body, answer.toString())
  const call = fixture.text.calls.at(-1)
  assert.deepEqual(call?.body, body)
  assert.deepEqual([call?.operation, call?.stream, call?.headers['traceparent']], ['chat', false, trace])
  const event = await fixture.event()
  const { operation, model, version, pool, endpoint, outcome, status, items, tokensIn, tokensOut, tokenCount, cost } = event
  assert.deepEqual([operation, model, version, pool, endpoint, outcome, status], ['chat', 'parrot', '1', 'a', 'scripted', 'served', 200])
  // 2 tokens out, at a quarter each.
  assert.deepEqual([items, tokensIn, tokensOut, tokenCount, cost], [2, 9, 2, 'reported', 0.5])
  assert.deepEqual(event.sampling, { temperature: 0.5, topP: null, maxTokens: 7, choices: 2, topLogprobs: 0 })
  assert.deepEqual([event.finishReasons, event.toolCalls, event.streamed, event.bytesOut], [['stop'], 0, false, answer.length])
  assert.match(event.configuration, /^[0-9a-f]{16}$/)
})

test('a stream: the same bytes, written down before the end', async () => {
  const pieces = spoken('Hel', 'lo')
  answers(() => ({ body: pieces }))
  const response = await fixture.ask('/v1/chat/completions', { ...hello, stream: true })
  assert.equal(response.body, Buffer.concat(pieces).toString())
  assert.match(String(response.headers['content-type']), /^text\/event-stream/)
  const { streamed, tokensOut, tokenCount, finishReasons, firstTokenMs, bytesOut, outcome } = await fixture.event()
  assert.deepEqual([streamed, tokensOut, tokenCount, finishReasons, outcome], [true, 3, 'reported', ['stop'], 'served'])
  assert.deepEqual([bytesOut, (firstTokenMs ?? -1) >= 0], [Buffer.concat(pieces).length, true])
})

test('completions and embeddings are recorded as such', async () => {
  answers(() => json({ choices: [{ index: 0, text: 'upon', finish_reason: 'length' }], usage: { prompt_tokens: 1, completion_tokens: 4 } }))
  assert.equal((await fixture.ask('/v1/completions', { model: 'parrot', prompt: ['a', 'b'] })).status, 200)
  const completion = await fixture.event()
  assert.deepEqual([completion.operation, completion.items, completion.finishReasons], ['completion', 2, ['length']])
  const vectors = `{"object":"list","data":[{"index":0,"embedding":[0.1,0.2]}],"model":"parrot","usage": {"prompt_tokens": 5, "total_tokens": 5}}`
  answers(() => ({ body: [Buffer.from(vectors)] }))
  assert.equal((await fixture.ask('/v1/embeddings', { model: 'parrot', input: ['a', 'b', 'c'] })).body, vectors)
  const embedding = await fixture.event()
  assert.deepEqual([embedding.operation, embedding.items, embedding.sampling, embedding.tokensIn], ['embedding', 3, null, 5])
})

test('models are listed, and asked for by name', async () => {
  const described = { id: 'parrot', object: 'model', created: 0, owned_by: 'cordon' }
  assert.deepEqual((await fixture.ask('/v1/models', undefined)).json(), { object: 'list', data: [described] })
  assert.deepEqual((await fixture.ask('/v1/models/parrot', undefined)).json(), described)
  assert.equal((await fixture.ask('/v1/models/heron', undefined)).json().error?.['code'], 'model_not_found')
  await fixture.eventsOf('requests')
  await fixture.event().catch(() => {})
})

test('errors have the form that clients of the API know', async () => {
  const failing = (code: ConstructorParameters<typeof InferenceError>[0], retryAfter?: number) => () => {
    throw new InferenceError(code, 'secret-cause', retryAfter === undefined ? {} : { retryAfter })
  }
  const strange =
    (body: string, contentType = 'application/json') =>
    () => ({ body: [Buffer.from(body)], contentType })
  const rows: readonly (readonly [TextFixture['text']['script'], object, number, string, string | undefined])[] = [
    [() => json(said('')), { ...hello, model: 'heron' }, 404, 'model_not_found', undefined],
    [() => json(said('')), { ...hello, model: 'tiny' }, 404, 'model_not_found', undefined],
    [() => json(said('')), { ...hello, max_tokens: 101 }, 400, 'integer_above_max_value', undefined],
    [failing('UPSTREAM_BUSY', 7), hello, 503, 'overloaded', '7'],
    [failing('POOL_AWAY'), hello, 503, 'overloaded', '5'],
    [failing('UPSTREAM_FAILED'), hello, 502, 'failed_upstream', undefined],
    [failing('UPSTREAM_TIMEOUT'), hello, 504, 'timed_out_upstream', undefined],
    [failing('UPSTREAM_FAILED'), { ...hello, stream: true }, 502, 'failed_upstream', undefined],
    [strange('{"choices":'), hello, 502, 'answer_unreadable', undefined],
    [strange('['.repeat(1_000)), hello, 502, 'answer_unreadable', undefined],
    [strange('data: [DONE]\n\n', 'text/event-stream'), hello, 502, 'answer_unreadable', undefined],
    [strange('', 'text/event-stream'), { ...hello, stream: true }, 502, 'failed_upstream', undefined],
    // Cut off in its first event: nothing was sent yet, so the client gets a status.
    [strange('data: {"choices"', 'text/event-stream'), { ...hello, stream: true }, 502, 'failed_upstream', undefined],
  ]
  for (const [script, body, status, code, retryAfter] of rows) {
    answers(script)
    const response = await fixture.ask('/v1/chat/completions', body)
    const { error } = response.json()
    assert.deepEqual([response.status, error?.['code'], response.headers['retry-after']], [status, code, retryAfter], response.body)
    assert.deepEqual(Object.keys(error ?? {}), ['message', 'type', 'param', 'code'])
    assert(!response.body.includes('secret-cause') && !response.body.includes('heron'))
    assert.notEqual((await fixture.event()).outcome, 'served')
  }
  const elsewhere = await fixture.ask('/v1/assistants', {})
  assert.deepEqual([elsewhere.status, elsewhere.json().error?.['code']], [404, 'not_found'])
  assert.equal((await fixture.event()).outcome, 'invalid')
  const keyless = await fixture.ask('/v1/chat/completions', hello, { authorization: 'Bearer no' })
  assert.deepEqual([keyless.status, keyless.json().error?.['type']], [401, 'authentication_error'])
  await fixture.event()
})

test("the model's own refusal is passed on", async () => {
  const refusal = { error: { message: 'too long', type: 'invalid_request_error', param: 'messages', code: 'context_length_exceeded' } }
  answers(() => ({ ...json(refusal), status: 400 }))
  const response = await fixture.ask('/v1/chat/completions', { ...hello, stream: true })
  assert.deepEqual([response.status, response.json()], [400, refusal])
  assert.deepEqual([(await fixture.event()).outcome, fixture.node.pulse().ok], ['invalid', true])
})

test('an error that the model tells inside its stream is a failure', async () => {
  const pieces = events(delta({ content: 'a' }), { error: { message: 'out of memory' } }, '[DONE]')
  answers(() => ({ body: pieces }))
  const response = await fixture.ask('/v1/chat/completions', { ...hello, stream: true })
  assert.equal(response.body, Buffer.concat(pieces).toString())
  assert.equal((await fixture.event()).outcome, 'failed')
})

test('hardened: logprobs and embeddings tell less, text stays', async () => {
  const local = await openTextFixture()
  const logprobs = { content: [{ token: 'hi', logprob: -0.123456, bytes: [104, 105], top_logprobs: [] }], refusal: null }
  const vector = [0.123456, -0.5, 0, 1e-9]
  const base64 = Buffer.from(Float32Array.from(vector).buffer).toString('base64')
  const floatsOf = (text: string) => Array.from({ length: 4 }, (_, i) => Buffer.from(text, 'base64').readFloatLE(4 * i))
  const answer = async (path: string, body: object, value: object) => {
    local.text.script = () => json(value)
    return (await local.ask(path, body)).json() as never as { choices: [Record<string, unknown>]; data: [{ embedding: never }] }
  }
  const chat = () =>
    answer(
      '/v1/chat/completions',
      hello,
      said('0.123456', { logprobs, message: { role: 'assistant', content: '0.123456', top_logprobs: [-0.123456] } }),
    )
  const embed = (embedding: unknown) =>
    answer('/v1/embeddings', { model: 'parrot', input: 'a' }, { data: [{ index: 0, embedding }], usage: { prompt_tokens: 1 } })
  await local.contain(targetOf('principal', 'alice'), 'harden-output', { level: 'rounded', decimals: 2 })
  const rounded = await chat()
  assert.deepEqual(rounded.choices[0]['message'], { role: 'assistant', content: '0.123456', top_logprobs: [-0.12] })
  assert.deepEqual(rounded.choices[0]['logprobs'], { content: [{ ...logprobs.content[0], logprob: -0.12 }], refusal: null })
  assert.equal((await local.event()).hardening, 'rounded')
  assert.deepEqual((await embed(vector)).data[0].embedding, [0.12, -0.5, 0, 0])
  assert.deepEqual(
    floatsOf((await embed(base64)).data[0].embedding).map((value) => Math.round(value * 1e6) / 1e6),
    [0.12, -0.5, 0, 0],
  )
  await local.contain(targetOf('principal', 'alice'), 'harden-output', { level: 'label-only' })
  assert.equal((await chat()).choices[0]['logprobs'], null)
  // Four dimensions: each is ±1/√4.
  assert.deepEqual((await embed(vector)).data[0].embedding, [0.5, -0.5, 0.5, 0.5])
  assert.deepEqual(floatsOf((await embed(base64)).data[0].embedding), [0.5, -0.5, 0.5, 0.5])
  local.text.script = () => json({ data: [{ index: 0, embedding: 'AAA' }] })
  assert.equal((await local.ask('/v1/embeddings', { model: 'parrot', input: 'a' })).status, 502)
  await local.close()
})

test('strict tools: a call that does not fit is not passed on', async () => {
  const local = await openTextFixture({ tools: { strict: true, allow: ['add'] } })
  const parameters = { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'], additionalProperties: false }
  const body = { ...hello, tools: [{ type: 'function', function: { name: 'add', parameters } }] }
  const call = (name: string, text: string) => ({
    message: { content: null, tool_calls: [{ id: 'c', type: 'function', function: { name, arguments: text } }] },
    finish_reason: 'tool_calls',
  })
  const rows = [
    [call('add', '{"a":1}'), 200],
    [call('add', '{"a":"1"}'), 502],
    [call('add', '{"a":1,"b":2}'), 502],
    [call('rm', '{"a":1}'), 502],
    [call('add', 'a'), 502],
  ] as const
  for (const [change, status] of rows) {
    const value = said('', change)
    local.text.script = () => json(value)
    const response = await local.ask('/v1/chat/completions', body)
    assert.equal(response.status, status)
    if (status === 200) assert.equal(response.body, JSON.stringify(value))
    else assert.equal(response.json().error?.['code'], 'tool_call_invalid')
    assert.equal((await local.event()).toolCalls, 1)
  }
  await local.close()
})

test('quotas count answers and texts', async () => {
  const local = await openTextFixture({}, { limits: { ordinary: { requests: 4, windowMs: 60_000 } } })
  const first = await local.ask('/v1/chat/completions', { ...hello, n: 3 })
  assert.match(String(first.headers['ratelimit']), /r=1/)
  const second = await local.ask('/v1/embeddings', { model: 'parrot', input: ['a', 'b'] })
  assert.deepEqual([second.status, second.json().error?.['type']], [429, 'rate_limit_error'])
  assert(Number(second.headers['retry-after']) > 0)
  await local.close()
})
