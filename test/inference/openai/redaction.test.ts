import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { pino } from 'pino'
import { openPromptFingerprinter } from '../../../inference/prompt/fingerprint.ts'
import { delta, events, hello, json, openTextFixture, said, spoken, type TextFixture } from './scripted-text.ts'

const user = (content: unknown) => ({ model: 'parrot', messages: [{ role: 'user', content }] })
const chat = '/v1/chat/completions'
const pii = 'I am ann@example.org, call (415) 555-2671, card 4111 1111 1111 1111.'

/** What the model was asked last. */
function asked({ text }: TextFixture): { readonly json: Readonly<Record<string, unknown>>; readonly bytes: string } {
  const { request, body } = text.calls.at(-1) ?? assert.fail('the model was not asked')
  return { json: request, bytes: body.toString() }
}

/** What a client makes of a stream: the text, and the arguments of calls, of its first choice. */
function heard(body: string): { readonly text: string; readonly args: string } {
  let [text, args] = ['', '']
  for (const line of body.split('\n')) {
    if (!line.startsWith('data: {')) continue
    const { choices } = JSON.parse(line.slice(6)) as {
      choices: { delta: { content?: string; tool_calls?: { function: { arguments?: string } }[] } }[]
    }
    for (const { delta: added } of choices) {
      text += added.content ?? ''
      for (const call of added.tool_calls ?? []) args += call.function.arguments ?? ''
    }
  }
  return { text, args }
}

test('where nothing is configured, and where nothing is found, the bytes are those that came', async () => {
  for (const bounds of [{}, { redaction: { input: 'mask', output: 'mask' }, sanitise: { input: 'strip', output: 'strip' } }]) {
    const fixture = await openTextFixture(bounds)
    const body = `{ "model":"parrot",  "messages": [{"role":"user","content":"2 + 2, \\u00e9 👩‍🚀 می‌خواهم"}] }`
    const answer = Buffer.from(JSON.stringify(said('four, and 5 is more'), null, 1))
    fixture.text.script = () => ({ body: [answer], contentType: 'application/json' })
    assert.equal((await fixture.ask(chat, body)).body, answer.toString())
    assert.equal(asked(fixture).bytes, body)
    await fixture.close()
  }
  const fixture = await openTextFixture()
  fixture.text.script = () => ({ body: spoken(pii) })
  const { body } = await fixture.ask(chat, { ...user(pii), stream: true })
  assert.equal(body, Buffer.concat(spoken(pii)).toString())
  await fixture.close()
})

test('a request is masked in all that the model reads, and stays what it is otherwise', async () => {
  const fixture = await openTextFixture({ redaction: { input: 'mask' } })
  const call = {
    id: 'call_ann@example.org',
    type: 'function',
    function: { name: 'send', arguments: '{"to":"ann@example.org","card":4111111111111111}' },
  }
  await fixture.ask(chat, {
    model: 'parrot',
    user: 'ann@example.org',
    metadata: { mail: 'bob@example.org' },
    messages: [
      { role: 'system', content: 'Serve 203.0.113.7' },
      {
        role: 'user',
        content: [
          { type: 'text', text: pii },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,ann@example.org' } },
        ],
      },
      { role: 'assistant', content: null, tool_calls: [call] },
      { role: 'tool', tool_call_id: 'call_ann@example.org', content: 'sent to ann@example.org' },
    ],
  })
  const { json: request } = asked(fixture)
  assert.equal(request['user'], '[EMAIL]')
  assert.deepEqual(request['metadata'], { mail: '[EMAIL]' })
  assert.deepEqual(request['messages'], [
    { role: 'system', content: 'Serve [IP]' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'I am [EMAIL], call [PHONE], card [CARD].' },
        { type: 'image_url', image_url: { url: 'data:image/png;base64,ann@example.org' } },
      ],
    },
    {
      role: 'assistant',
      content: null,
      tool_calls: [{ ...call, function: { name: 'send', arguments: '{"to":"[EMAIL]","card":"[CARD]"}' } }],
    },
    { role: 'tool', tool_call_id: 'call_ann@example.org', content: 'sent to [EMAIL]' },
  ])
  await fixture.ask('/v1/completions', { model: 'parrot', prompt: ['a', 'to bob@example.org'], suffix: '203.0.113.7' })
  assert.deepEqual([asked(fixture).json['prompt'], asked(fixture).json['suffix']], [['a', 'to [EMAIL]'], '[IP]'])
  await fixture.ask('/v1/embeddings', { model: 'parrot', input: 'to bob@example.org' })
  assert.equal(asked(fixture).json['input'], 'to [EMAIL]')
  // Nobody can look into tokens.
  assert.equal((await fixture.ask('/v1/completions', { model: 'parrot', prompt: [1, 2] })).status, 400)
  await fixture.close()
})

test('a model that takes no personal data says of which kind it was, and nothing else', async () => {
  const fixture = await openTextFixture({ redaction: { input: 'refuse' }, sanitise: { input: 'refuse' } })
  const { status, json: error, body } = await fixture.ask(chat, user(pii))
  assert.equal(status, 400)
  assert.equal(error().error?.['param'], 'messages')
  assert.equal(error().error?.['code'], 'personal_data')
  assert.match(String(error().error?.['message']), /of kind email$/)
  assert(!body.includes('ann'))
  assert.equal((await fixture.ask(chat, user('hi\u{e0069}\u{e0067}'))).json().error?.['code'], 'invisible_characters')
  assert.equal((await fixture.ask(chat, user('hi 👨‍👩‍👧 می‌خواهم'))).status, 200)
  assert.equal(fixture.text.calls.length, 1)
  await fixture.close()
})

test('tokens go out and values come back, in text, in calls, whole and streamed', async () => {
  const fixture = await openTextFixture({ redaction: { input: 'token', output: 'restore' } })
  const tokenIn = (text: string) => /\[EMAIL_[0-9a-f]{4}\]/.exec(text)?.[0] ?? assert.fail('there is no token')
  fixture.text.script = ({ body, stream }) => {
    const token = tokenIn(body.toString())
    const calls = [{ index: 0, id: 'c', type: 'function', function: { name: 'send', arguments: `{"to":"${token}"}` } }]
    if (!stream) return json(said(`Dear ${token}!`, { message: { role: 'assistant', content: `Dear ${token}!`, tool_calls: calls } }))
    const words = `Dear ${token}!`.split('').map((content) => delta({ content }))
    return { body: events(...words, delta({ tool_calls: calls }), delta({}, 'tool_calls'), '[DONE]') }
  }
  const ask = user('write to "ann@example.org"')
  const whole = (await fixture.ask(chat, ask)).json()['choices']
  assert(!asked(fixture).bytes.includes('ann@'))
  const [choice] = whole as { message: { content: string; tool_calls: { function: { arguments: string } }[] } }[]
  assert.equal(choice?.message.content, 'Dear ann@example.org!')
  assert.equal(choice?.message.tool_calls[0]?.function.arguments, '{"to":"ann@example.org"}')
  const { body } = await fixture.ask(chat, { ...ask, stream: true })
  assert.deepEqual(heard(body), { text: 'Dear ann@example.org!', args: '{"to":"ann@example.org"}' })
  await fixture.close()
})

test('an answer is masked however its stream is cut, and its log probabilities go with what they spell', async () => {
  const fixture = await openTextFixture({ redaction: { output: 'mask' }, sanitise: { output: 'strip' } })
  const spoke = `${pii}\u202e Hidden\u{e0041}.`
  const args = '{"to":"ann@example.org"}'
  const tokens = (token: string) => ({ content: [{ token, logprob: -1 }] })
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(spoke.length), { maxLength: 30 }), fc.nat(args.length), async (places, at) => {
      const ends = [...new Set([0, ...places, spoke.length])].sort((a, b) => a - b)
      const pieces = ends.slice(1).map((end, i) => spoke.slice(ends[i], end))
      const words = pieces.map((content) => delta({ content }, null, { logprobs: tokens(content) }))
      const called = [args.slice(0, at), args.slice(at)].map((piece) =>
        delta({ tool_calls: [{ index: 0, function: { arguments: piece } }] }),
      )
      fixture.text.script = () => ({ body: events(...words, ...called, delta({}, 'stop'), '[DONE]') })
      const { body } = await fixture.ask(chat, { ...hello, stream: true })
      assert.deepEqual(heard(body), { text: 'I am [EMAIL], call [PHONE], card [CARD]. Hidden.', args: '{"to":"[EMAIL]"}' })
      assert(body.endsWith('data: [DONE]\n\n') && !body.includes('ann@'))
    }),
    { numRuns: 150, seed: 9 },
  )
  fixture.text.script = () => json(said(pii, { logprobs: tokens(pii) }))
  const { body } = await fixture.ask(chat, hello)
  assert(body.includes('"logprobs":null') && !body.includes('ann@') && body.includes('call [PHONE]'))
  await fixture.close()
})

test('what nothing ended, and several choices, come out whole', async () => {
  const fixture = await openTextFixture({ redaction: { output: 'mask' } })
  const of = (index: number, content: string, finish: string | null = null) => delta({ content }, finish, { index })
  fixture.text.script = () => ({
    body: events(of(0, 'to ann@'), of(1, '4111 1111'), of(0, 'example.org', 'stop'), of(1, ' 1111 1111'), '[DONE]'),
  })
  const { body } = await fixture.ask(chat, { ...hello, stream: true, n: 2 })
  const texts = ['', '']
  for (const [, data] of body.matchAll(/^data: (\{.*)$/gm))
    for (const { index, delta: added } of JSON.parse(data ?? '').choices) texts[index] += added.content
  assert.deepEqual(texts, ['to [EMAIL]', '[CARD]'])
  await fixture.close()
})

test('nothing that was found is in any log, event or metric; kinds are counted, and prompts fingerprinted as they came', async () => {
  const lines: string[] = []
  const log = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) })
  const prompts = openPromptFingerprinter({ key: new Uint8Array(32).fill(7), epoch: 0 })
  const exacts: unknown[] = []
  for (const input of ['off', 'mask', 'token', 'refuse']) {
    const fixture = await openTextFixture({ redaction: { input, output: 'mask' } }, { log, prompts })
    fixture.text.script = ({ stream }) => (stream ? { body: spoken(pii) } : json(said(pii)))
    for (const stream of [false, true]) await fixture.ask(chat, { ...user(pii), stream })
    const metrics = await fixture.registry.metrics()
    const written = await fixture.eventsOf('prompts')
    exacts.push(...written.map(({ exact }) => exact))
    const all = JSON.stringify([written, await fixture.eventsOf('requests')]) + lines.join('') + metrics
    for (const secret of ['ann@', '555-2671', '4111', 'EMAIL_']) assert(!all.includes(secret), `${input}: ${secret}`)
    if (input !== 'refuse') assert.match(metrics, /cordon_redactions_total\{direction="output",kind="card"\} 2/)
    if (input === 'mask') assert.match(metrics, /cordon_redactions_total\{direction="input",kind="email"\} 2/)
    await fixture.close()
  }
  assert.equal(exacts.length, 6)
  assert.equal(new Set(exacts).size, 1)
})
