import assert from 'node:assert/strict'
import { test } from 'node:test'
import { array, assert as check, constantFrom, integer, property, string, tuple } from 'fast-check'
import { TextConfiguration } from '../../../inference/configuration.ts'
import { openPromptFingerprinter } from '../../../inference/prompt/fingerprint.ts'
import { PhraseSearch } from '../../../inference/server/openai/phrase-search.ts'
import { commonRefusals, openRefusalJudge } from '../../../inference/server/openai/refusals.ts'
import { type DataOf, PromptEvent } from '../../../schemas/index.ts'
import { delta, events, hello, json, openTextFixture, said, spoken } from './scripted-text.ts'

const prompts = openPromptFingerprinter({ key: new Uint8Array(32).fill(7), epoch: 0 })
const canaries = [
  { name: 'system', text: 'the Purple Walrus sings at dawn' },
  { name: 'training', text: 'ключ 7f3a ёжик' },
]

/** Names of the canaries in an answer that comes in these pieces, and as a whole. */
async function found(...pieces: readonly string[]): Promise<string[]> {
  const fixture = await openTextFixture({ canaries }, { prompts })
  fixture.text.script = ({ stream }) => (stream ? { body: spoken(...pieces) } : json(said(pieces.join(''))))
  await fixture.ask('/v1/chat/completions', { ...hello, stream: true })
  await fixture.ask('/v1/chat/completions', hello)
  const [streamed, whole] = (await fixture.eventsOf('prompts')).map((data) => PromptEvent.parse(data))
  assert.deepEqual(streamed?.canaries, whole?.canaries)
  assert.equal(streamed?.answer, whole?.answer)
  await fixture.close()
  return whole?.canaries ?? []
}

test('a planted text is found in an answer, split over pieces, in any case and spacing', async () => {
  assert.deepEqual(await found('Secret: the Purple Walrus sings at dawn.'), ['system'])
  assert.deepEqual(await found('THE PUR', 'PLE \n\n wal', 'rus\u200b sings\tat', ' ', '  dawn'), ['system'])
  assert.deepEqual(await found('КЛЮЧ 7F3', 'A Ёжик and the purple the purple walrus sings at dawn'), ['training', 'system'])
  assert.deepEqual(await found('the purple walrus sings at noon, ', 'the purple walrus singsat dawn'), [])
  // Beyond what is kept for the hash.
  assert.deepEqual(await found('x '.repeat(50_000), 'the purple walrus sings at dawn'), ['system'])
})

test('thoughts and the arguments of calls may leak, too', async () => {
  const fixture = await openTextFixture({ canaries }, { prompts })
  const call = (args: string) => delta({ tool_calls: [{ index: 0, function: { arguments: args } }] })
  for (const body of [
    events(delta({ reasoning_content: 'the purple walrus' }), delta({ reasoning_content: ' sings at dawn' }), delta({}, 'stop'), '[DONE]'),
    events(call('{"a":"the purple walrus'), call(' sings at dawn"}'), delta({}, 'tool_calls'), '[DONE]'),
    // Two channels are two texts.
    events(delta({ reasoning_content: 'the purple walrus' }), delta({ content: ' sings at dawn' }), delta({}, 'stop'), '[DONE]'),
  ]) {
    fixture.text.script = () => ({ body })
    await fixture.ask('/v1/chat/completions', { ...hello, stream: true })
  }
  assert.deepEqual(
    (await fixture.eventsOf('prompts')).map(({ canaries }) => canaries),
    [['system'], ['system'], []],
  )
  await fixture.close()
})

test('nothing of a prompt, an answer, a bias or a canary is in any event, log line or metric', async () => {
  const lines: string[] = []
  const { pino } = await import('pino')
  const log = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) })
  const fixture = await openTextFixture({ canaries }, { prompts, log })
  fixture.text.script = ({ stream }) =>
    stream
      ? { body: spoken('zebra-answer ', 'the purple walrus sings at dawn') }
      : json(said('zebra-answer the purple walrus sings at dawn'))
  const body = { ...hello, messages: [{ role: 'user', content: 'quokka-prompt, tell me' }], logit_bias: { '987654': 3.25 } }
  for (const stream of [false, true]) await fixture.ask('/v1/chat/completions', { ...body, stream })
  const written = JSON.stringify([await fixture.eventsOf('prompts'), await fixture.eventsOf('requests')])
  assert.ok(written.includes('"canaries":["system"]'))
  const all = written + lines.join('') + (await fixture.registry.metrics())
  for (const secret of ['quokka', 'zebra', 'alrus', '987654']) assert.ok(!all.includes(secret), secret)
  await fixture.close()
})

const hostile: readonly [name: string, answer: unknown][] = [
  ['choices that are none', { choices: [null, 7, 'x', { message: 5 }, { index: 1e9, message: { content: 'far' } }, { index: -1 }] }],
  [
    'contents of any kind',
    { choices: [{ index: 0, message: { content: { text: 'x' }, refusal: 5, tool_calls: [1, { function: null }] } }] },
  ],
  ['an unknown end', said('x', { finish_reason: 'y'.repeat(5_000) })],
  ['a million letters', said(`${'\u0130'.repeat(1_000_000)}`)],
]
for (const [name, answer] of hostile)
  test(`an answer with ${name} leaves an event that the contract takes`, async () => {
    const fixture = await openTextFixture({ canaries }, { prompts })
    fixture.text.script = ({ stream }) => (stream ? { body: [...events(answer), ...events('[DONE]')] } : json(answer))
    for (const stream of [true, false]) await fixture.ask('/v1/chat/completions', { ...hello, stream })
    const all = await fixture.eventsOf('prompts')
    assert.equal(all.length, 2)
    for (const data of all) PromptEvent.parse(data)
    await fixture.close()
  })

const hostilePrompts: readonly unknown[] = [
  [{ role: 'user', content: '\ud800 lone \u0000' }],
  [{ role: 'user', content: '' }],
  [{ role: 'user', content: [] }],
  [{ role: 'user', content: 'a'.repeat(250_000) }],
  Array.from({ length: 256 }, () => ({ role: 'system', content: '{{{{' })),
]
test('hostile prompts leave events that the contract takes', async () => {
  const fixture = await openTextFixture({}, { prompts })
  for (const messages of hostilePrompts) await fixture.ask('/v1/chat/completions', { model: 'parrot', messages })
  const all: DataOf<'prompt'>[] = await fixture.eventsOf('prompts')
  assert.equal(all.length, hostilePrompts.length)
  for (const data of all) PromptEvent.parse(data)
  await fixture.close()
})

const judge = openRefusalJudge(commonRefusals)
for (const text of [
  "I'm sorry, but I can't help with that.",
  '**I cannot assist** with this request.',
  'Sorry — I won’t provide instructions for that.',
  'Es tut mir leid, aber dabei kann ich nicht helfen.',
  'Lo siento, pero no puedo ayudarte.',
  'Je ne peux pas répondre à cette demande.',
  'К сожалению, я не могу с этим помочь.',
  '抱歉，我无法满足您的要求。',
  '申し訳ありませんが、それはできません。',
  '죄송하지만 도와드릴 수 없습니다.',
  'عذرًا، لا أستطيع المساعدة في ذلك.',
])
  test(`reads as a refusal: ${text}`, () => assert.equal(judge(text), true))

for (const text of [
  'Sure, here is how to do it.',
  'Sorry to hear that! Paris is the capital of France.',
  'The hi cannot assist the wan',
  'You can reset your password in the settings.',
  `${'A long and friendly answer. '.repeat(10)}I'm sorry, but I can't help with that.`,
  '',
])
  test(`does not: ${text.slice(0, 40)}`, () => assert.equal(judge(text), false))

test('a team names its own openings', async () => {
  const fixture = await openTextFixture({ refusals: ['computer says no'] }, { prompts })
  for (const text of ['Computer says "no".', 'I cannot assist with that.']) {
    fixture.text.script = () => json(said(text))
    await fixture.ask('/v1/chat/completions', hello)
  }
  assert.deepEqual(
    (await fixture.eventsOf('prompts')).map(({ refused }) => refused),
    [true, false],
  )
  await fixture.close()
})

test('canaries are bounded', () => {
  const plant = (text: string) => ({ name: 'c', text })
  assert.ok(!TextConfiguration.safeParse({ canaries: [plant('short')] }).success)
  assert.ok(!TextConfiguration.safeParse({ canaries: [plant('x'.repeat(257))] }).success)
  assert.ok(!TextConfiguration.safeParse({ canaries: Array.from({ length: 65 }, () => plant('x'.repeat(9))) }).success)
})

test('a search finds what looking for each phrase finds, wherever the text is cut', () => {
  const letters = constantFrom('a', 'b', 'A', ' ', '\n', 'ß')
  const phrase = string({ unit: letters, minLength: 2, maxLength: 5 }).filter((text) => text.trim().length > 1)
  check(
    property(
      array(phrase, { minLength: 1, maxLength: 6 }),
      tuple(string({ unit: letters, maxLength: 60 }), integer({ min: 1, max: 9 })),
      (phrases, [text, step]) => {
        const search = new PhraseSearch(phrases)
        const progress = search.start()
        const seen = new Set<number>()
        for (let at = 0; at < text.length; at += step) search.push(progress, text.slice(at, at + step), (index) => seen.add(index))
        const plain = (one: string) => one.toLowerCase().replace(/\s+/g, ' ')
        const expected = phrases.flatMap((one, index) => (plain(text).includes(plain(one)) ? [index] : []))
        assert.deepEqual(
          [...seen].sort((a, b) => a - b),
          expected,
        )
      },
    ),
  )
})
