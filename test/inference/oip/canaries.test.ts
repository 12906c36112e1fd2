import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { newEvent } from '../../../bus/codec.ts'
import { generationAbuse } from '../../../detectors/generation-abuse/generation-abuse.ts'
import { openPromptFingerprinter } from '../../../inference/prompt/fingerprint.ts'
import { start } from '../node-fixture.ts'
import { openTextUpstream, requestOf, type TextUpstream } from './text-upstream.ts'

const canary = 'Canary-7F3a the Purple Walrus'
const canaries = [{ name: 'marker', text: canary }]
const encodings = [false, true]

async function open(context: TestContext, text: object, options: Parameters<typeof openTextUpstream>[1] = {}): Promise<TextUpstream> {
  const prompts = openPromptFingerprinter({ key: new Uint8Array(32).fill(7), epoch: 0 })
  const fixture = await openTextUpstream(text, { prompts, ...options })
  context.after(() => fixture.close())
  return fixture
}

test('a planted text in an output is told as one in a chat is, by either encoding and in any form', async (context) => {
  const fixture = await open(context, { canaries })
  for (const said of [`so: ${canary}.`, Buffer.from(canary).toString('base64'), Buffer.from(`\xff ${canary}`, 'latin1'), 'nothing']) {
    fixture.say = () => ['hello', said]
    for (const binary of encodings) {
      const outputs = [{ name: 'answer', binary: true, classes: 0 }]
      assert.equal((await fixture.send(requestOf(['tell me'], { binary, outputs }))).status, 200)
    }
  }
  const events = await fixture.eventsOf('prompts')
  const told = events.map(({ operation, model, canaries: found, answer }) => [operation, model, found.join(), answer !== null])
  const found = ['infer', 'tiny', 'marker', true]
  assert.deepEqual(told, [...Array.from({ length: 6 }, () => found), ...Array.from({ length: 2 }, () => ['infer', 'tiny', '', true])])
})

test('the first such event is a critical finding that names the planted text', async (context) => {
  const fixture = await open(context, { canaries })
  fixture.say = () => [canary]
  await fixture.send(requestOf(['tell me']))
  const [data = assert.fail('there is no event')] = await fixture.eventsOf('prompts')
  const logic = generationAbuse.start(generationAbuse.params.parse({}))
  const [found] = logic.onEvent(logic.initial(start), newEvent('prompt', data, 'node-1', start))?.findings ?? []
  assert.deepEqual([found?.severity, found?.confidence, found?.evidence['canaries']], ['critical', 0.99, ['marker']])
})

test('each item of a batch has its own event, the last of sixteen all that are left, and every one is read', async (context) => {
  const fixture = await open(context, { canaries }, { limits: { maxItems: 140 } })
  fixture.say = (texts) => texts.map((_, item) => (item === 2 || item === 139 ? canary : 'fine'))
  const texts = Array.from({ length: 140 }, (_, item) => `question ${item}`)
  await fixture.send(requestOf(texts, { items: 140 }))
  const events = await fixture.eventsOf('prompts')
  assert.deepEqual(
    events.map(({ messages, canaries: found }) => [messages, found.length]),
    Array.from({ length: 16 }, (_, at) => [at === 15 ? 125 : 1, at === 2 || at === 15 ? 1 : 0]),
  )
})

test('prompts are fingerprinted as they came, and neither redaction nor hardening hides a leak from the node', async (context) => {
  const open1 = await open(context, { canaries })
  const open2 = await open(context, {
    canaries: [{ name: 'marker', text: 'ann@example.org' }],
    redaction: { input: 'mask', output: 'mask' },
  })
  for (const fixture of [open1, open2]) await fixture.send(requestOf(['mail ann@example.org'], { binary: true }))
  assert.deepEqual(open2.asked().texts, ['mail [EMAIL]'])
  open2.say = () => ['ann@example.org']
  await open2.contain('principal:alice', 'harden-output', { level: 'label-only' })
  const { body } = await open2.send(requestOf(['mail ann@example.org']))
  assert(!body.includes('ann') && !body.includes('[EMAIL]'))
  const events = [...(await open1.eventsOf('prompts')), ...(await open2.eventsOf('prompts'))]
  assert.equal(new Set(events.map(({ exact }) => exact)).size, 1)
  assert.deepEqual(
    events.map(({ canaries: found }) => found),
    [[], [], ['marker']],
  )
})

test('without canaries, and where answers are not examined, tensors leave no prompts', async (context) => {
  for (const text of [{}, { canaries, examineAnswers: false }, { canaries, fingerprintPrompts: false }]) {
    const fixture = await open(context, text)
    fixture.say = () => [canary]
    assert.equal((await fixture.send(requestOf(['x']))).status, 200)
    assert.equal((await fixture.eventsOf('prompts')).length, 0)
  }
})

test('bytes that are no text are another prompt, and no part of it is told', async (context) => {
  const fixture = await open(context, { canaries })
  for (const image of ['\x89PNG a', '\x89PNG b', '\x89PNG a'])
    await fixture.send(
      requestOf(['describe', Buffer.from(image, 'latin1')], { binary: true, outputs: [{ name: 'score', binary: true, classes: 0 }] }),
    )
  const exacts = (await fixture.eventsOf('prompts')).map(({ exact }) => exact)
  assert.equal(exacts[0], exacts[2])
  assert.notEqual(exacts[0], exacts[1])
})
