import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { type IncomingMessage, request } from 'node:http'
import { test } from 'node:test'
import { InferenceError } from '../../../inference/errors.ts'
import type { PromptFingerprinter, PromptMessage } from '../../../inference/port.ts'
import type { NodeOptions } from '../../../inference/server/options.ts'
import { PromptEvent, targetOf } from '../../../schemas/index.ts'
import { until } from '../memory-bus.ts'
import { inferBody } from '../node-fixture.ts'
import { delta, events, hello, json, openTextFixture, said, spoken, type TextFixture } from './scripted-text.ts'

const hashOf = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 16)

/** Remembers what it was given, so that tests see which texts count. */
class Fingerprints implements PromptFingerprinter {
  readonly seen: (readonly PromptMessage[])[] = []
  readonly hashOf = hashOf
  fingerprint(_model: string, messages: readonly PromptMessage[]) {
    this.seen.push(messages)
    const text = messages.map((message) => message.text).join('\n')
    const plain = { epoch: 3, system: null, bytes: text.length, messages: messages.length, surprise: 2.5, learned: 7 }
    return { ...plain, exact: hashOf(text), chunks: 'AAAAAAAA' }
  }
}

interface Watched extends TextFixture {
  readonly prints: Fingerprints
  /** Those written so far, held against the contract. */
  prompts(): Promise<PromptEvent[]>
}

async function open(bounds: object = {}, options: Partial<NodeOptions> = {}): Promise<Watched> {
  const prints = new Fingerprints()
  const fixture = await openTextFixture(bounds, { prompts: prints, ...options })
  return { ...fixture, prints, prompts: async () => (await fixture.eventsOf('prompts')).map((data) => PromptEvent.parse(data)) }
}

async function one(fixture: Watched): Promise<PromptEvent> {
  const all = await fixture.prompts()
  const [only] = all
  assert.ok(only !== undefined && all.length === 1, `${all.length} prompt events`)
  return only
}

test('a chat leaves one event: who asked, the fingerprint, what was drawn, and what the answer tells', async () => {
  const fixture = await open()
  fixture.text.script = () => json(said('It is Paris.'))
  const sampling = { temperature: 0.5, top_p: 0.9, max_tokens: 20, n: 2, logprobs: true, top_logprobs: 5 }
  await fixture.ask('/v1/chat/completions', { ...hello, ...sampling }, { 'user-agent': 'curl' })
  const [asked] = await fixture.eventsOf('requests')
  const event = await one(fixture)
  assert.deepEqual(
    [event.principal, event.model, event.version, event.operation, event.outcome],
    ['alice', 'parrot', '1', 'chat', 'served'],
  )
  assert.deepEqual([event.client, event.agent, event.hardening], [asked?.client, asked?.agent, 'none'])
  assert.equal(typeof event.keyCreatedAt, 'number')
  assert.deepEqual([event.epoch, event.exact, event.surprise, event.learned], [3, hashOf('hello'), 2.5, 7])
  assert.deepEqual([event.tokensIn, event.tokensOut, event.finishReasons], [9, 2, ['stop']])
  assert.deepEqual(event.sampling, { temperature: 0.5, topP: 0.9, maxTokens: 20, choices: 2, topLogprobs: 5, logitBias: null })
  assert.deepEqual([event.refused, event.answer, event.canaries], [false, hashOf('It is Paris.'), []])
  await fixture.close()
})

test('a prompt is looked at once it is on its way to the model, which is at the end of the turn', async () => {
  const steps: string[] = []
  class Steps extends Fingerprints {
    override fingerprint(model: string, messages: readonly PromptMessage[]) {
      steps.push('looked')
      return super.fingerprint(model, messages)
    }
  }
  const fixture = await open({}, { prompts: new Steps() })
  fixture.text.script = () => {
    setImmediate(() => steps.push('sent'))
    return json(said('It is Paris.'))
  }
  await fixture.ask('/v1/chat/completions', hello)
  assert.deepEqual(steps, ['sent', 'looked'])
  await one(fixture)
  await fixture.close()
})

test('all that the model reads counts: parts, images by a hash, calls of tools, tools, and the answer begun for it', async () => {
  const fixture = await open()
  const image = (data: string) => ({ type: 'image_url', image_url: { url: `data:image/png;base64,${data}` } })
  const call = { id: 'c', type: 'function', function: { name: 'look', arguments: '{"at":"sky"}' } }
  const messages = [
    { role: 'system', content: 'Be kind.' },
    { role: 'user', content: [{ type: 'text', text: 'What is this?' }, image('AAAA')] },
    { role: 'assistant', content: null, tool_calls: [call] },
    { role: 'tool', tool_call_id: 'c', content: 'blue' },
  ]
  const tools = [{ type: 'function', function: { name: 'look', description: 'Looks up.', parameters: { type: 'object' } } }]
  await fixture.ask('/v1/chat/completions', { model: 'parrot', messages, tools })
  await fixture.ask('/v1/chat/completions', {
    ...hello,
    messages: [{ role: 'user', content: [{ type: 'text', text: 'What is this?' }, image('AAAB')] }],
  })
  const [first, second] = fixture.prints.seen
  assert.deepEqual(
    first?.map(({ role }) => role),
    ['tools', 'system', 'user', 'assistant', 'tool'],
  )
  assert.match(first?.[0]?.text ?? '', /Looks up\./)
  assert.match(first?.[2]?.text ?? '', /^What is this\?\n\[image_url [0-9a-f]{8}\]$/)
  assert.match(first?.[3]?.text ?? '', /look\n\{"at":"sky"\}/)
  assert.equal(first?.[4]?.text, 'blue')
  assert.notEqual(second?.[0]?.text, first?.[2]?.text)
  await fixture.close()
})

test('several prompts in a request leave one event each, with their own answers; beyond sixteen the last has the rest', async () => {
  const fixture = await open({ maxChoices: 128, maxTopLogprobs: 5 })
  const choice = (index: number, text: string) => ({ index, text, finish_reason: 'stop' })
  fixture.text.script = () =>
    json({ choices: [choice(0, 'a'), choice(1, 'b'), choice(2, "I'm sorry, but I can't help with that."), choice(3, 'I cannot assist.')] })
  await fixture.ask('/v1/completions', { model: 'parrot', prompt: ['x', 'y'], n: 2, logprobs: 0 })
  const [x, y] = await fixture.prompts()
  assert.deepEqual([x?.exact, y?.exact], [hashOf('x'), hashOf('y')])
  assert.deepEqual([x?.answer, x?.refused], [hashOf('a\0b'), false])
  assert.equal(y?.refused, true)
  // Log probabilities of the drawn token count as one alternative.
  assert.deepEqual([x?.sampling?.choices, x?.sampling?.topLogprobs, x?.finishReasons], [2, 1, ['stop', 'stop']])
  await fixture.ask('/v1/completions', { model: 'parrot', prompt: Array.from({ length: 20 }, (_, i) => `p${i}`) })
  const all = (await fixture.prompts()).slice(2)
  assert.deepEqual([all.length, all[0]?.messages, all[15]?.messages], [16, 1, 5])
  assert.equal(all[15]?.exact, hashOf('p15\np16\np17\np18\np19'))
  await fixture.close()
})

test('embeddings leave an event without sampling, and nobody looks at the answer', async () => {
  const fixture = await open()
  fixture.text.script = () => json({ data: [{ embedding: [1] }], usage: { prompt_tokens: 7, total_tokens: 7 } })
  await fixture.ask('/v1/embeddings', {
    model: 'parrot',
    input: [
      [4, 5],
      [1, 2, 3],
    ],
  })
  const found = await fixture.prompts()
  assert.deepEqual(
    found.map(({ operation, exact, sampling, answer, refused, tokensIn }) => [operation, exact, sampling, answer, refused, tokensIn]),
    [
      ['embedding', hashOf('4 5'), null, null, null, 4],
      ['embedding', hashOf('1 2 3'), null, null, null, 3],
    ],
  )
  await fixture.close()
})

test('a bias on tokens: how many, how large, and the same hash however it is written', async () => {
  const fixture = await open()
  for (const logit_bias of [{ '7': -100, '12': 5.5 }, { '12': 5.5, '9': 0, '07': -100 }, { '7': -99, '12': 5.5 }, { '7': 0 }, null])
    assert.equal((await fixture.ask('/v1/chat/completions', { ...hello, logit_bias })).status, 200)
  const [a, b, c, ...none] = (await fixture.prompts()).map(({ sampling }) => sampling?.logitBias)
  assert.deepEqual([a?.tokens, a?.largest], [2, 100])
  assert.deepEqual(b, a)
  assert.notEqual(c?.hash, a?.hash)
  assert.deepEqual(none, [null, null])
  await fixture.close()
})

const streams: readonly [name: string, pieces: readonly Buffer[], answer: string | null, refused: boolean | null][] = [
  ['words', spoken('Hi', ' there', ', "you" \\ and'), 'Hi there, "you" \\ and', false],
  ['letters of all kinds', spoken('Grüße ', '日本 ', '\u2028\n"content":"no"'), 'Grüße 日本 \u2028\n"content":"no"', false],
  ['a refusal', spoken('I’m', ' sorry', ', but I', ' can’t help', ' with that.'), 'I’m sorry, but I can’t help with that.', true],
  ['a filter', events(delta({ content: 'Well' }), delta({}, 'content_filter'), '[DONE]'), 'Well', true],
  ['the API’s own refusal', events(delta({ refusal: 'No.' }), delta({}, 'stop'), '[DONE]'), 'No.', true],
  ['parts', events(delta({ content: [{ type: 'text', text: 'Hm' }] }), delta({}, 'stop'), '[DONE]'), 'Hm', false],
  [
    'thoughts',
    events(delta({ reasoning_content: 'I cannot assist' }), delta({ content: 'Yes' }), delta({}, 'stop'), '[DONE]'),
    'Yes',
    false,
  ],
  ['nothing', events(delta({ role: 'assistant' }), delta({}, 'stop'), '[DONE]'), null, false],
]
for (const [name, pieces, answer, refused] of streams)
  test(`a streamed answer of ${name}`, async () => {
    const fixture = await open()
    fixture.text.script = () => ({ body: pieces })
    const { body } = await fixture.ask('/v1/chat/completions', { ...hello, stream: true })
    assert.equal(body, Buffer.concat(pieces).toString())
    const event = await one(fixture)
    assert.deepEqual([event.answer, event.refused], [answer === null ? null : hashOf(answer), refused])
    await fixture.close()
  })

test('answers to one request that come interleaved are told apart; one that complies is no refusal', async () => {
  const fixture = await open()
  const word = (index: number, content: string) => delta({ content }, null, { index })
  const pieces = events(word(0, 'I cannot'), word(1, 'Su'), word(0, ' assist.'), word(1, 're'), delta({}, 'stop'), '[DONE]')
  fixture.text.script = () => ({ body: pieces })
  await fixture.ask('/v1/chat/completions', { ...hello, stream: true, n: 2 })
  const { answer, refused } = await one(fixture)
  assert.deepEqual([answer, refused], [hashOf('I cannot assist.\0Sure'), false])
  await fixture.close()
})

async function streaming(fixture: Watched): Promise<{ text: () => string; drop: () => void }> {
  const { url } = await fixture.node.start({ host: '127.0.0.1', port: 0 })
  let text = ''
  const sent = request(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${fixture.key}`, 'content-type': 'application/json' },
  })
  sent.on('error', () => {})
  sent.on('response', (response: IncomingMessage) => {
    response.on('error', () => {})
    response.on('data', (piece) => {
      text += piece
    })
  })
  sent.end(JSON.stringify({ ...hello, stream: true }))
  return { text: () => text, drop: () => sent.destroy() }
}

test('a client that leaves half-way: what it got until then is told', async () => {
  const fixture = await open()
  fixture.text.script = ({ cancellation }) => ({
    body: (async function* () {
      yield* events(delta({ content: 'half ' }), delta({ content: 'an answer' }))
      await new Promise<void>((resolve) => cancellation.onEnd(resolve))
      throw new InferenceError('CANCELLED', 'the client went away')
    })(),
  })
  const { text, drop } = await streaming(fixture)
  await until(() => text().includes('an answer'))
  drop()
  await until(() => fixture.text.ended === 1)
  const { outcome, answer, refused } = await one(fixture)
  assert.deepEqual([outcome, answer, refused], ['aborted', hashOf('half an answer'), false])
  await fixture.close()
})

test('what the model’s server refuses or fails at was asked all the same; what never reached it was not', async () => {
  const fixture = await open()
  fixture.text.script = () => ({ status: 400, body: [Buffer.from('{"error":{}}')] })
  await fixture.ask('/v1/chat/completions', hello)
  fixture.text.script = () => Promise.reject(new InferenceError('UPSTREAM_FAILED', 'gone'))
  await fixture.ask('/v1/chat/completions', hello)
  await fixture.ask('/v1/chat/completions', { ...hello, temperature: 9 })
  await fixture.contain(targetOf('principal', 'alice'), 'deny-principal')
  await fixture.ask('/v1/chat/completions', hello)
  assert.deepEqual(
    (await fixture.prompts()).map(({ outcome, refused, answer }) => [outcome, refused, answer]),
    [
      ['invalid', null, null],
      ['failed', null, null],
    ],
  )
  await fixture.close()
})

test('a hardened answer says so', async () => {
  const fixture = await open()
  await fixture.contain(targetOf('principal', 'alice'), 'harden-output', { level: 'label-only', decimals: 0 })
  fixture.text.script = () => json(said('yes'))
  await fixture.ask('/v1/chat/completions', hello)
  const { hardening, answer } = await one(fixture)
  assert.deepEqual([hardening, answer], ['label-only', hashOf('yes')])
  await fixture.close()
})

for (const [bounds, count, answer] of [
  [{ fingerprintPrompts: false }, 0, undefined],
  [{ examineAnswers: false, canaries: [{ name: 'c', text: 'hello hello' }] }, 1, null],
] as const)
  test(`under ${JSON.stringify(bounds).slice(0, 30)} there is ${count} event`, async () => {
    const fixture = await open(bounds)
    fixture.text.script = () => json(said('hello hello'))
    await fixture.ask('/v1/chat/completions', hello)
    const found = await fixture.prompts()
    assert.equal(found.length, count)
    assert.deepEqual([found[0]?.answer, found[0]?.refused], [answer, answer])
    await fixture.close()
  })

test('a fingerprinter that fails costs no answer', async () => {
  const fixture = await open({}, { prompts: { hashOf, fingerprint: () => assert.fail('secret text') } })
  assert.equal((await fixture.ask('/v1/chat/completions', hello)).status, 200)
  assert.deepEqual(await fixture.prompts(), [])
  await fixture.close()
})

test('fingerprints of tensors say how much of the answer left, and what is known of the caller', async () => {
  const fixture = await open()
  const infer = () => fixture.ask('/v2/models/tiny/infer', inferBody(2), { 'user-agent': 'probe' })
  await infer()
  await fixture.contain(targetOf('principal', 'alice'), 'harden-output', { level: 'rounded', decimals: 1 })
  await infer()
  const [asked] = await fixture.eventsOf('requests')
  const found = await fixture.eventsOf('fingerprints')
  assert.deepEqual(
    found.map(({ hardening }) => hardening),
    ['none', 'none', 'rounded', 'rounded'],
  )
  for (const { client, agent, keyCreatedAt } of found) {
    assert.deepEqual([client, agent], [asked?.client, asked?.agent])
    assert.equal(typeof keyCreatedAt, 'number')
  }
  await fixture.close()
})
