import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openLanguage } from '../../../inference/language/open.ts'
import { AlphabetRuntime, endless, languageInfo, nextLogit, openAlphabet, pools, textCall } from './alphabet-runtime.ts'
import { bytesOf, readEvents, readJson } from './reading.ts'

const alphabet = 'abcdefghijklmnopqrstuvwxyz'
const messages = [{ role: 'user', content: 'Hi' }]
const greedy = { temperature: 0 }

test('a chat is answered with a line', async () => {
  const { language } = openAlphabet()
  const answer = await language.generate(textCall('chat', { messages, ...greedy }))
  assert.deepEqual([answer.status, answer.endpoint, answer.queueMs], [200, null, 0.5])
  assert.deepEqual(await readJson(answer), {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 2_000,
    model: 'language',
    system_fingerprint: 'fp_0123456789ab',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: alphabet, refusal: null, annotations: [] },
        logprobs: null,
        finish_reason: 'stop',
      },
    ],
    // "user: Hi\n" is 9; the newline that ended the answer was sampled too.
    usage: { prompt_tokens: 9, completion_tokens: 27, total_tokens: 36 },
  })
})

test('a streamed chat has a chunk with the role, deltas, the reason of its end, and usage if asked for', async () => {
  const { language } = openAlphabet()
  const request = { messages, ...greedy, max_tokens: 3, stream: true, stream_options: { include_usage: true } }
  const events = await readEvents(await language.generate(textCall('chat', request)))
  assert.deepEqual(
    events.map(({ choices }) => choices[0]?.delta),
    [{ role: 'assistant', content: '', refusal: null }, { content: 'a' }, { content: 'b' }, { content: 'c' }, {}, undefined],
  )
  assert.deepEqual(
    events.map(({ choices }) => choices[0]?.finish_reason),
    [null, null, null, null, 'length', undefined],
  )
  assert.deepEqual(events.at(-1)?.['usage'], { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 })
  assert.ok(events.slice(0, -1).every((event) => event.usage === null && event.object === 'chat.completion.chunk'))
  const without = await readEvents(await language.generate(textCall('chat', { messages, ...greedy, max_tokens: 3, stream: true })))
  assert.ok(without.every((event) => !('usage' in event)))
})

test('a stop sequence ends an answer and is not shown, nor is a part of it before', async () => {
  const { language } = openAlphabet()
  const rows: [stop: string | string[], content: string][] = [
    ['d', 'abc'],
    [['xyz', 'cde'], 'ab'],
    ['ce', alphabet],
  ]
  for (const [stop, content] of rows) {
    const whole = await readJson(await language.generate(textCall('chat', { messages, ...greedy, stop })))
    assert.deepEqual([whole.choices[0].message.content, whole.choices[0].finish_reason], [content, 'stop'])
    const events = await readEvents(await language.generate(textCall('chat', { messages, ...greedy, stop, stream: true })))
    assert.equal(events.map(({ choices }) => choices[0].delta.content ?? '').join(''), content)
  }
})

test('log probabilities come with the alternatives and their bytes', async () => {
  const { language } = openAlphabet()
  const request = { messages, ...greedy, max_tokens: 2, logprobs: true, top_logprobs: 2 }
  const { choices } = await readJson(await language.generate(textCall('chat', request)))
  // 96 tokens may follow; at first no newline, so 95. One has a logit of 5 and the others 0.
  const [a, b] = [nextLogit - Math.log(Math.exp(nextLogit) + 94), nextLogit - Math.log(Math.exp(nextLogit) + 95)]
  const [first, second] = choices[0].logprobs.content
  assert.ok(second)
  assert.deepEqual([first.token, first.bytes, second.token], ['a', [97], 'b'])
  assert.ok(Math.abs(first.logprob - a) < 1e-6 && Math.abs(second.logprob - b) < 1e-6)
  assert.deepEqual(first.top_logprobs[0], { token: 'a', logprob: first.logprob, bytes: [97] })
  const [, end] = second.top_logprobs
  assert.deepEqual([end?.token, second.top_logprobs.length], ['\n', 2])
  assert.ok(Math.abs((end?.logprob ?? 0) - (b - nextLogit)) < 1e-6)
})

test('a completion goes on with its prompt, over lines, and may repeat it', async () => {
  const { language } = openAlphabet()
  const request = { prompt: ['wx', 'b'], ...greedy, max_tokens: 4, n: 2, echo: true }
  const whole = await readJson(await language.generate(textCall('completion', request)))
  const texts = ['wxyz\na', 'wxyz\na', 'bcdef', 'bcdef']
  assert.deepEqual(
    whole.choices.map(({ index, text, finish_reason }) => [index, text, finish_reason]),
    texts.map((text, index) => [index, text, 'length']),
  )
  assert.deepEqual(whole.usage, { prompt_tokens: 3, completion_tokens: 16, total_tokens: 19 })
  const events = await readEvents(await language.generate(textCall('completion', { ...request, stream: true })))
  const streamed = ['', '', '', '']
  for (const { choices, object } of events) {
    assert.equal(object, 'text_completion')
    const [{ index, text }] = choices
    streamed[index] += text
  }
  assert.deepEqual(streamed, texts)
})

test("a completion's log probabilities are in its own format", async () => {
  const { language } = openAlphabet()
  const request = { prompt: 'c', ...greedy, max_tokens: 2, logprobs: 1 }
  const { choices } = await readJson(await language.generate(textCall('completion', request)))
  const { tokens, token_logprobs, top_logprobs, text_offset } = choices[0].logprobs
  assert.deepEqual(
    [tokens, text_offset],
    [
      ['d', 'e'],
      [0, 1],
    ],
  )
  assert.deepEqual(top_logprobs, [{ d: token_logprobs[0] }, { e: token_logprobs[1] }])
  const events = await readEvents(await language.generate(textCall('completion', { ...request, stream: true })))
  assert.deepEqual(
    events.map((event) => event.choices[0].logprobs?.text_offset),
    [[0], [1], undefined],
  )
})

test('tokens stand for text, and logit_bias names them', async () => {
  const { language } = openAlphabet()
  const [a, x] = [67, 90] // 97 - 32 + 2, and 23 more
  const request = { prompt: [x], ...greedy, max_tokens: 3, logit_bias: { [String(a)]: 10 } }
  const { choices } = await readJson(await language.generate(textCall('completion', request)))
  assert.equal(choices[0].text, 'aaa')
  const penalised = { prompt: 'x', ...greedy, max_tokens: 3, logit_bias: { [String(a)]: 10 }, frequency_penalty: 2, presence_penalty: 2 }
  // The second a has 10 - 4 = 6, the third 10 - 6 = 4, below the 5 of b.
  assert.equal((await readJson(await language.generate(textCall('completion', penalised)))).choices[0].text, 'aab')
})

test('the same seed gives the same answers, and each of several its own', async () => {
  const { language } = openAlphabet()
  const texts = async (request: object) => {
    const whole = await readJson(await language.generate(textCall('completion', { prompt: 'a', n: 3, max_tokens: 20, ...request })))
    return whole.choices.map(({ text }: { text: string }) => text)
  }
  const first = await texts({ seed: 7 })
  assert.deepEqual(await texts({ seed: 7 }), first)
  assert.equal(new Set(first).size, 3)
  assert.notDeepEqual(await texts({ seed: 8 }), first)
  assert.notDeepEqual(await texts({ seed: 7 + 2 ** 40 }), first)
  // Without one it is drawn; here chance is always 0.5, which is 2^31.
  assert.deepEqual(await texts({}), await texts({ seed: 2 ** 31 }))
})

const weather = {
  type: 'function',
  function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string', maxLength: 3 } }, required: ['city'] } },
}
const clock = { type: 'function', function: { name: 'clock' } }

test('a call that is asked for fits its schema, and streams its arguments', async () => {
  const { language } = openAlphabet()
  const request = {
    messages,
    ...greedy,
    logprobs: true,
    tools: [clock, weather],
    tool_choice: { type: 'function', function: { name: 'weather' } },
  }
  const whole = await readJson(await language.generate(textCall('chat', request)))
  const [choice] = whole.choices
  assert.deepEqual([choice.message.content, choice.finish_reason, choice.logprobs], [null, 'tool_calls', null])
  // The line before a string begins anew, so its first letter is a.
  assert.deepEqual(choice.message.tool_calls, [
    { id: 'call_2', type: 'function', function: { name: 'weather', arguments: '{"city":"abc"}' } },
  ])
  const events = await readEvents(await language.generate(textCall('chat', { ...request, stream: true })))
  const deltas = events.map((event) => event.choices[0].delta)
  assert.deepEqual(deltas[0], {
    role: 'assistant',
    content: null,
    tool_calls: [{ index: 0, id: 'call_4', type: 'function', function: { name: 'weather', arguments: '' } }],
  })
  assert.deepEqual(
    deltas.slice(1, -1).map((delta) => delta.tool_calls[0].function.arguments),
    ['{"city":"', 'a', 'b', 'c"}'],
  )
  assert.deepEqual([deltas.at(-1), events.at(-1)?.choices[0].finish_reason], [{}, 'tool_calls'])
})

test('where some call is required the model chooses which; left to itself it calls none', async () => {
  const { language } = openAlphabet()
  const called = async (tool_choice: unknown, seed: number) => {
    const request = { messages, tools: [clock, weather], tool_choice, seed }
    const { choices } = await readJson(await language.generate(textCall('chat', request)))
    return choices[0].message.tool_calls?.[0].function.name as string | undefined
  }
  const names = new Set<string | undefined>()
  for (let seed = 0; seed < 20; seed++) names.add(await called('required', seed))
  assert.deepEqual([...names].sort(), ['clock', 'weather'])
  for (const choice of ['auto', 'none', undefined]) assert.equal(await called(choice, 1), undefined)
})

test('an answer under a schema is JSON of that schema', async () => {
  const { language } = openAlphabet()
  const schema = { type: 'object', properties: { ok: { const: true }, word: { type: 'string', minLength: 2, maxLength: 2 } } }
  const content = async (response_format: object) => {
    const { choices } = await readJson(await language.generate(textCall('chat', { messages, ...greedy, response_format, stop: 'a' })))
    return JSON.parse(choices[0].message.content ?? '')
  }
  assert.deepEqual(await content({ type: 'json_schema', json_schema: { name: 'x', schema } }), { ok: true, word: 'ab' })
  // After z comes a newline, and where a line would end the string does.
  assert.deepEqual(await content({ type: 'json_object' }), { answer: alphabet })
  const short = { messages, ...greedy, max_tokens: 4, response_format: { type: 'json_schema', json_schema: { name: 'x', schema } } }
  const { choices } = await readJson(await language.generate(textCall('chat', short)))
  assert.deepEqual([choices[0].message.content, choices[0].finish_reason], ['{"ok', 'length'])
})

test('embeddings are means over windows, of length 1, as numbers or base64', async () => {
  const { language } = openAlphabet()
  const embedded = async (request: object) => readJson(await language.generate(textCall('embedding', { ...request })))
  // Tokens of "ab" are 67 and 68: mean [1, 67.5, 0, 0].
  const length = Math.hypot(1, 67.5)
  const whole = await embedded({ input: ['ab', 'b'] })
  assert.deepEqual(
    whole.data.map(({ index, object }) => [index, object]),
    [0, 1].map((index) => [index, 'embedding']),
  )
  assert.deepEqual(whole.usage, { prompt_tokens: 3, total_tokens: 3 })
  const [first] = whole.data
  assert.deepEqual(first.embedding, [1 / length, 67.5 / length, 0, 0].map(Math.fround))
  const encoded = await embedded({ input: [67, 68], encoding_format: 'base64' })
  const bytes = Buffer.from(String(encoded.data[0].embedding), 'base64')
  assert.deepEqual(
    [0, 4, 8, 12].map((at) => bytes.readFloatLE(at)),
    first.embedding,
  )
  assert.deepEqual((await embedded({ input: 'ab', dimensions: 1 })).data[0].embedding, [1])
})

test('what the model does not take is refused in the shape of the API, and repeated nowhere', async () => {
  const { language } = openAlphabet()
  const rows: [operation: 'chat' | 'completion' | 'embedding', request: Record<string, unknown>, param: string][] = [
    ['chat', { messages: [] }, 'messages'],
    ['chat', { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'secret' } }] }] }, 'messages'],
    ['chat', { messages, temperature: -1 }, 'temperature'],
    ['chat', { messages, max_tokens: 0 }, 'max_tokens'],
    ['chat', { messages, stop: ['1', '2', '3', '4', 'secret'] }, 'stop'],
    ['chat', { messages, logit_bias: { secret: 1 } }, 'logit_bias'],
    ['chat', { messages, logit_bias: { 97: 1 } }, 'logit_bias'],
    ['chat', { messages, n: 65 }, 'n'],
    ['chat', { messages, tool_choice: 'required' }, 'tool_choice'],
    ['chat', { messages, tools: [weather], tool_choice: { type: 'function', function: { name: 'secret' } } }, 'tool_choice'],
    ['chat', { messages, response_format: { type: 'json_schema', json_schema: { schema: { pattern: 'secret' } } } }, 'response_format'],
    ['completion', { prompt: ['a', 7] }, 'prompt'],
    ['completion', { prompt: [97] }, 'prompt'],
    ['completion', { prompt: 'a', suffix: 'secret' }, 'suffix'],
    ['completion', { prompt: 'a', n: 1, best_of: 2 }, 'best_of'],
    ['completion', { prompt: 'a', echo: true, logprobs: 0 }, 'echo'],
    ['completion', { prompt: Array.from({ length: 33 }, () => 'a'), n: 2 }, 'n'],
    ['embedding', { input: '' }, 'input'],
    ['embedding', { input: 'a', dimensions: 5 }, 'dimensions'],
    ['embedding', { input: 'a', encoding_format: 'secret' }, 'encoding_format'],
  ]
  for (const [operation, request, param] of rows) {
    const answer = await language.generate(textCall(operation, { ...request, stream: operation !== 'embedding' }))
    assert.equal(answer.status, 400, JSON.stringify(request))
    const { error } = await readJson(answer)
    assert.deepEqual([error.type, error.param], ['invalid_request_error', param])
    assert.ok(!error.message.includes('secret'))
  }
  assert.equal(language.depth('local'), 0)
})

test('only what this process serves is listed', async () => {
  const { runtime, language } = openAlphabet()
  assert.deepEqual(
    language.list().map(({ name, operations, inputs }) => [name, operations, inputs]),
    [['language', ['chat', 'completion', 'embedding'], []]],
  )
  assert.deepEqual([language.ready('local'), language.ready('away'), language.ready('other')], [true, false, false])
  await assert.rejects(language.generate({ ...textCall('chat', { messages }), pool: 'away' }), { code: 'MODEL_NOT_FOUND' })
  await assert.rejects(language.generate({ ...textCall('chat', { messages }), version: '2' }), { code: 'MODEL_NOT_FOUND' })
  assert.equal(runtime.calls.length, 0)
  class Wrong extends AlphabetRuntime {
    override list() {
      return [{ ...languageInfo, outputs: languageInfo.outputs.slice(1) }]
    }
  }
  const options = { runtime: new Wrong(), pools, clock: () => 0, newId: () => 'x', random: () => 0 }
  assert.throws(() => openLanguage(options), { code: 'MODEL_CORRUPT' })
})

test('generation ends with the request: at the next token, and at once where nobody reads', async () => {
  const { runtime, language } = openAlphabet()
  const cancellation = endless()
  const answer = await language.generate(textCall('completion', { prompt: 'a', max_tokens: 1_000, stream: true }, cancellation))
  const events = answer.body[Symbol.asyncIterator]()
  await events.next()
  await events.next()
  assert.deepEqual([runtime.calls.length, language.depth('local')], [2, 1])
  cancellation.aborted = true
  await assert.rejects(events.next(), { code: 'CANCELLED' })
  assert.deepEqual([runtime.calls.length, language.depth('local')], [2, 0])
  const unread = await language.generate(textCall('completion', { prompt: 'a', stream: true }))
  assert.equal(language.depth('local'), 1)
  await unread.body[Symbol.asyncIterator]().return?.()
  assert.deepEqual([runtime.calls.length, language.depth('local')], [3, 0])
})

test("the runtime's errors are passed on, before the answer began and within it", async () => {
  const { runtime, language } = openAlphabet()
  runtime.failAt = 0
  await assert.rejects(language.generate(textCall('chat', { messages, stream: true })), { code: 'OVERLOADED' })
  runtime.failAt = 3
  const answer = await language.generate(textCall('chat', { messages, ...greedy, stream: true }))
  await assert.rejects(bytesOf(answer), { code: 'OVERLOADED' })
  assert.equal(language.depth('local'), 0)
})

test('only the end of a long prompt is run, and all of it is counted', async () => {
  const { runtime, language } = openAlphabet()
  const prompt = 'é'.repeat(100_000)
  const whole = await readJson(await language.generate(textCall('completion', { prompt, ...greedy, max_tokens: 2 })))
  assert.equal(whole.usage?.prompt_tokens, 100_000)
  assert.equal(whole.choices[0].text, 'ab')
  assert.deepEqual(
    runtime.calls.map(({ inputs }) => inputs[0]?.shape),
    [
      [1, 8],
      [1, 8],
    ],
  )
})
