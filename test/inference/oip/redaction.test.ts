import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { decodeAnswer } from '../../../inference/oip/codec.ts'
import type { RawInference } from '../../../inference/port.ts'
import { openTextUpstream, type Reply, requestOf, type TextUpstream, textsOf } from './text-upstream.ts'

const pii = 'I am ann@example.org, call (415) 555-2671, card 4111 1111 1111 1111.'
const masked = 'I am [EMAIL], call [PHONE], card [CARD].'
const invalid = [Buffer.from([0x61, 0xff]), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('\x89PNG\r\n', 'latin1')]
const encodings = [false, true]

async function open(context: TestContext, text: object, options: Parameters<typeof openTextUpstream>[1] = {}): Promise<TextUpstream> {
  const fixture = await openTextUpstream(text, options)
  context.after(() => fixture.close())
  return fixture
}

function answerOf(reply: Reply) {
  assert.equal(reply.status, 200, reply.body)
  return decodeAnswer(reply.raw, { maxTensors: 8, maxBytes: 67_108_864 })
}

function saidIn(reply: Reply): readonly string[] {
  return textsOf(answerOf(reply).tensors, 'answer')
}

function json(value: unknown): RawInference {
  return { body: Buffer.from(JSON.stringify(value)), jsonBytes: null }
}

const textInput = (data: unknown, change: object = {}) => ({ name: 'text', shape: [1, 1], datatype: 'BYTES', data, ...change })
const limitInput = { name: 'limit', shape: [1, 1], datatype: 'INT64', data: [5] }

test('where nothing is configured, and where nothing is found, the bytes are those that came', async (context) => {
  for (const redaction of [{}, { input: 'mask' }, { input: 'token', output: 'restore' }]) {
    const fixture = await open(context, { redaction, sanitise: { input: Object.keys(redaction).length === 0 ? 'off' : 'strip' } })
    const values = Object.keys(redaction).length === 0 ? [pii, 'hi\u202e'] : ['2 + 2, é 👩‍🚀 می‌خواهم', '{"a" : 1}']
    for (const binary of encodings) {
      const raw = requestOf(values, { binary })
      const reply = await fixture.send(raw)
      assert.deepEqual(fixture.asked().raw.body, Buffer.from(raw.body))
      assert.deepEqual(saidIn(reply), values)
      assert.match(reply.raw.body.toString(), /"model_name":"elsewhere".*"finished":true/, 'nor is the answer written anew')
    }
  }
})

test('each text of a request is masked by either encoding, and the rest of it is what it was', async (context) => {
  const fixture = await open(context, { redaction: { input: 'mask' } })
  for (const binary of encodings) {
    await fixture.send(requestOf([pii, 'fine', 'to bob@example.org', ''], { binary, items: 2 }))
    const { raw, request, texts } = fixture.asked()
    assert.deepEqual(texts, [masked, 'fine', 'to [EMAIL]', ''])
    assert.equal(raw.jsonBytes !== null, binary, 'in the encoding in which it came')
    assert.deepEqual(request.inputs[0]?.shape, [2, 2])
    assert.deepEqual(request.inputs[1]?.data, BigInt64Array.of(2n ** 53n - 1n, 2n ** 53n - 1n))
  }
})

test('what stands beside the tensors is looked at, and what servers read of it stays', async (context) => {
  const fixture = await open(context, { redaction: { input: 'mask' } })
  const outputs = [{ name: 'answer', parameters: { binary_data: false, note: 'bob@example.org' } }]
  const parameters = { user: 'ann@example.org', sequence_id: 4155552671, priority: 1 }
  const inputs = [limitInput, textInput(['x'], { parameters: { content_type: 'str', hint: 'for ann@example.org' } })]
  const reply = await fixture.send(json({ id: 'ann@example.org', model_name: 'of ann@example.org', parameters, inputs, outputs }))
  assert.deepEqual(JSON.parse(fixture.asked().raw.body.toString()), {
    id: '[EMAIL]',
    model_name: 'of [EMAIL]',
    parameters: { user: '[EMAIL]', sequence_id: 4155552671, priority: 1 },
    outputs: [{ name: 'answer', parameters: { binary_data: false, note: '[EMAIL]' } }],
    inputs: [
      { name: 'limit', datatype: 'INT64', shape: [1, 1], data: [5] },
      { name: 'text', datatype: 'BYTES', shape: [1, 1], data: ['x'], parameters: { content_type: 'str', hint: 'for [EMAIL]' } },
    ],
  })
  assert.equal(answerOf(reply).id, 'ann@example.org', 'the client is answered by its own name')
  const binary = requestOf(['to ann@example.org'], { binary: true })
  const head = JSON.parse(Buffer.from(binary.body.subarray(0, binary.jsonBytes ?? 0)).toString())
  head.inputs[0].parameters.content_type = 'str'
  const [written, data] = [Buffer.from(JSON.stringify(head)), binary.body.subarray(binary.jsonBytes ?? 0)]
  await fixture.send({ body: Buffer.concat([written, data]), jsonBytes: written.length })
  assert.deepEqual(fixture.asked().texts, ['to [EMAIL]'])
  assert.match(fixture.asked().raw.body.toString('latin1'), /"content_type":"str","binary_data_size":14}/)
})

test('a text that is JSON stays JSON, and what it escapes is seen', async (context) => {
  const fixture = await open(context, { redaction: { input: 'mask', output: 'mask' } })
  const rows: readonly (readonly [string, string])[] = [
    ['{"to":"ann\\u0040example.org","card":4111111111111111,"seed":7}', '{"to":"[EMAIL]","card":"[CARD]","seed":7}'],
    // Which of the two counts is for each parser to say.
    ['{"to":"ann@example.org","to":"x"}', '{"to":"[EMAIL]","to":"x"}'],
    [`${'['.repeat(70)}"ann@example.org"${']'.repeat(70)}`, `${'['.repeat(70)}"[EMAIL]"${']'.repeat(70)}`],
    ['[INST] ann@example.org [/INST]', '[INST] [EMAIL] [/INST]'],
    ['4111111111111111', '[CARD]'],
  ]
  fixture.say = () => rows.map(([text]) => text)
  const reply = await fixture.send(requestOf(rows.map(([text]) => text)))
  const expected = rows.map(([, text]) => text)
  assert.deepEqual([fixture.asked().texts, saidIn(reply)], [expected, expected])
})

test('tokens go out and values come back, by either encoding', async (context) => {
  const fixture = await open(context, { redaction: { input: 'token', output: 'restore' } })
  fixture.say = ([first = '', second = '']) => [`Dear ${first}!`, `{"to":"${second}"}`, '[EMAIL_0000]', Buffer.from([0xff])]
  for (const binary of encodings) {
    const outputs = [{ name: 'answer', binary: true, classes: 0 }]
    const reply = await fixture.send(requestOf(['ann@example.org', '://u:a"b@h'], { binary, outputs }))
    assert.match(fixture.asked().texts.join(' '), /^\[EMAIL_[0-9a-f]{4}\] :\/\/\[SECRET_[0-9a-f]{4}\]@h$/)
    const [dear, call, ...rest] = saidIn(reply)
    assert.equal(dear, 'Dear ann@example.org!')
    assert.deepEqual(JSON.parse(call ?? ''), { to: '://u:a"b@h' }, 'a value with quotes leaves JSON what it is')
    assert.deepEqual(rest, ['[EMAIL_0000]', '\ufffd'], 'what is nobody’s token, and bytes that are no text, pass')
    assert.equal(answerOf(reply).tensors.length, 1, 'and what was not asked for is not there')
  }
})

test('a model that takes no personal data says of which kind it was and where, and is not asked', async (context) => {
  const fixture = await open(context, { redaction: { input: 'refuse' }, sanitise: { input: 'refuse' } })
  const rows: readonly (readonly [RawInference, RegExp])[] = [
    ...encodings.map((binary) => [requestOf(['hi', pii], { binary }), /^inputs\[0\]: .*of kind email$/] as const),
    [requestOf(['hi\u{e0069}\u{e0067}']), /^inputs\[0\]: .*invisible characters$/],
    [json({ parameters: { a: [pii] }, inputs: [textInput(['x']), limitInput] }), /^parameters: .*of kind email$/],
    [json({ inputs: [limitInput, textInput(['x'], { parameters: { a: pii } })] }), /^parameters: .*of kind email$/],
    [
      json({ outputs: [{ name: 'answer', parameters: { a: pii } }], inputs: [textInput(['x']), limitInput] }),
      /^parameters: .*of kind email$/,
    ],
    [json({ inputs: [limitInput, textInput([pii])] }), /^inputs\[1\]: .*of kind email$/],
  ]
  for (const [raw, expected] of rows) {
    const { status, body } = await fixture.send(raw)
    assert.equal(status, 422)
    assert.match(JSON.parse(body).error, expected)
    assert(!/ann|555|4111/.test(body))
  }
  assert.equal((await fixture.send(requestOf(['hi 👨‍👩‍👧 می‌خواهم']))).status, 200)
  assert.equal(fixture.server.asked.length, 1)
  const events = await fixture.eventsOf('requests')
  assert.deepEqual(events.map(({ outcome, cost }) => [outcome, cost > 0]).slice(-2), [
    ['invalid', false],
    ['served', true],
  ])
})

test('bytes that are no UTF-8 go to no model whose requests are looked at, and lone surrogates to none', async (context) => {
  for (const text of [{ redaction: { input: 'mask' } }, { redaction: { input: 'token' } }, { sanitise: { input: 'strip' } }]) {
    const fixture = await open(context, text)
    for (const bytes of invalid) {
      const { status, body } = await fixture.send(requestOf(['hi', bytes], { binary: true }))
      assert.equal(status, 422)
      assert.match(JSON.parse(body).error, /^inputs\[0\]: value 1 is no UTF-8/)
    }
    const lone = Buffer.from(JSON.stringify({ inputs: [textInput(['x']), limitInput] }).replace('"x"', '"\\ud800"'))
    assert.equal((await fixture.send({ body: lone, jsonBytes: null })).status, 422)
    assert.equal(fixture.server.asked.length, 0)
  }
  const fixture = await open(context, { redaction: { output: 'mask' } })
  fixture.say = () => ['hello']
  for (const bytes of invalid) assert.equal((await fixture.send(requestOf([bytes], { binary: true }))).status, 200)
})

test('an answer is masked by either encoding and written anew; bytes that cannot be looked into are 502', async (context) => {
  const fixture = await open(context, { redaction: { output: 'mask' }, sanitise: { output: 'strip' } })
  fixture.say = () => [pii, 'a\u202eb', '']
  for (const binary of encodings) {
    const reply = await fixture.send(
      requestOf(['x'], { binary, id: 'q', outputs: ['answer', 'score'].map((name) => ({ name, binary, classes: 0 })) }),
    )
    const { id, modelName, tensors } = answerOf(reply)
    assert.deepEqual([id, modelName, reply.raw.jsonBytes !== null], ['q', 'tiny', binary])
    assert.deepEqual(saidIn(reply), [masked, 'ab', ''])
    assert.deepEqual(tensors[1]?.data, new Float32Array(2).fill(0.123456))
  }
  fixture.verbatim = JSON.stringify({
    parameters: { said: 'ann@example.org' },
    outputs: [
      { name: 'answer', datatype: 'BYTES', shape: [1, 1], data: ['x'], parameters: { said: 'ann@example.org' } },
      { name: 'score', datatype: 'FP32', shape: [1, 2], data: [0, 1] },
      { name: 'thoughts', datatype: 'BYTES', shape: [1], data: ['ann@example.org'] },
    ],
  })
  const { status, body } = await fixture.send(requestOf(['x']))
  assert(status === 200 && !body.includes('ann'), body)
  fixture.verbatim = undefined
  for (const bytes of invalid) {
    fixture.say = () => [bytes]
    for (const binary of encodings) {
      const reply = await fixture.send(requestOf(['x'], { binary, outputs: [{ name: 'answer', binary: true, classes: 0 }] }))
      assert.deepEqual([reply.status, /looked into/.test(reply.body)], [502, true])
    }
  }
})

test('of a class its label alone may change, and what only looks like one, or was not asked for, is a text', async (context) => {
  const patterns = [{ name: 'six', expression: '\\d{6}' }]
  const fixture = await open(context, { redaction: { output: 'mask', country: null, patterns } })
  fixture.say = () => [
    '0.998123:41:tabby',
    '-1.500000:7:of ann@example.org',
    '1.000000:3',
    pii,
    '4111111111111111:0:x',
    '0.5:1\n203.0.113.7',
  ]
  const others = ['I am [EMAIL], call (415) 555-2671, card [CARD].', '[CARD]:0:x', '0.5:1\n[IP]']
  const classes = [{ name: 'answer', binary: false, classes: 6 }]
  const classified = saidIn(await fixture.send(requestOf(['x'], { outputs: classes })))
  assert.deepEqual(classified, ['0.998123:41:tabby', '-1.500000:7:of [EMAIL]', '1.000000:3', ...others])
  const plain = saidIn(await fixture.send(requestOf(['x'])))
  assert.deepEqual(plain, ['0.[SIX]:41:tabby', '-1.[SIX]:7:of [EMAIL]', '1.[SIX]:3', ...others])
})

test('under hardening a text is masked first, and a silenced one says nothing', async (context) => {
  const fixture = await open(context, { redaction: { input: 'mask', output: 'mask' } })
  fixture.say = () => [pii]
  await fixture.contain('principal:alice', 'harden-output', { level: 'rounded', decimals: 1 })
  const rounded = await fixture.send(requestOf(['x']))
  assert.deepEqual(saidIn(rounded), [masked])
  assert.match(rounded.body, /"data":\[0.1,0.1\]/)
  await fixture.contain('principal:alice', 'harden-output', { level: 'label-only' })
  assert.deepEqual(saidIn(await fixture.send(requestOf(['x']))), [''])
})

test('whatever the texts, both encodings tell the model the same, and never what was found', async (context) => {
  const fixture = await open(context, { redaction: { input: 'mask' }, sanitise: { input: 'strip' } })
  const parts = fc.constantFrom(
    pii,
    'ann@example.org',
    '{"a":"',
    '"}',
    '[',
    '\\u0040',
    '\u202e',
    '\ud800',
    '\0',
    '\ufeff',
    '👩‍🚀',
    ' ',
    '\n',
  )
  const text = fc.array(fc.oneof(parts, fc.string({ unit: 'binary' })), { maxLength: 6 }).map((said) => said.join('').toWellFormed())
  await fc.assert(
    fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 4 }), async (values) => {
      const read: (readonly string[])[] = []
      for (const binary of encodings) {
        assert.equal((await fixture.send(requestOf(values, { binary }))).status, 200)
        read.push(fixture.asked().texts)
      }
      assert.deepEqual(read[0], read[1])
      assert.equal(read[0]?.length, values.length)
      assert(!read[0]?.some((said) => /ann@example\.org(?!\w)|\u202e|\0/.test(said)), JSON.stringify(read[0]))
    }),
    { numRuns: 80, seed: 5 },
  )
})

test('more text than the model takes is refused, however many values it comes in', async (context) => {
  const fixture = await open(context, { redaction: { input: 'mask' }, maxInputBytes: 4_096 }, { limits: { maxItems: 100_000 } })
  // Each costs four bytes, and so does each name and text that stands beside them: in JSON here none.
  const empty = (count: number, binary = false) => requestOf(new Array<string>(count).fill(''), { binary })
  assert.equal((await fixture.send(empty(1_024))).status, 200)
  const many = { parameters: { a: Array.from({ length: 900 }, () => 'b') }, inputs: [textInput(['x']), limitInput] }
  for (const raw of [empty(1_025), empty(3_000, true), requestOf(['x'.repeat(4_093)]), json(many)]) {
    const { status, body } = await fixture.send(raw)
    assert.equal(status, 422)
    assert.match(JSON.parse(body).error, /^inputs: more text than this model takes, 4096 bytes/)
  }
  // Says a billion values and has none.
  const lie = Buffer.from(
    JSON.stringify({ inputs: [textInput(undefined, { shape: [1, 1e9], parameters: { binary_data_size: 0 } }), limitInput] }),
  )
  assert.equal((await fixture.send({ body: lie, jsonBytes: lie.length })).status, 422)
  assert.equal(fixture.server.asked.length, 1)
})

test('the audit trail keeps texts where it is to, as the model read them, and no bytes that are none', async (context) => {
  const kept: (string | null)[] = []
  const audit = { append: ({ prompt }: { readonly prompt: string | null }) => void kept.push(prompt) }
  for (const redaction of [{ input: 'mask' }, {}]) {
    const fixture = await open(context, { keepPrompts: true, redaction }, { audit })
    await fixture.send(requestOf([pii, 'and this', 'second', ''], { items: 2 }))
  }
  const seesBytes = await open(context, { keepPrompts: true }, { audit })
  await seesBytes.send(requestOf(['look', Buffer.from('\x89PNG', 'latin1')], { binary: true }))
  const keepsNone = await open(context, { redaction: { input: 'mask' } }, { audit })
  await keepsNone.send(requestOf([pii]))
  const both = ['and this', 'prompt: second', ''].join('\n')
  assert.deepEqual(kept, [`prompt: ${masked}\n${both}`, `prompt: ${pii}\n${both}`, 'prompt: look\n[BYTES ]', null])
})

test('nothing that was found is in any event or metric, and kinds are counted', async (context) => {
  const fixture = await open(context, { redaction: { input: 'mask', output: 'mask' } })
  fixture.say = () => [pii]
  for (const binary of encodings) await fixture.send(requestOf([pii], { binary }))
  const metrics = await fixture.registry.metrics()
  const requests = await fixture.eventsOf('requests')
  for (const secret of ['ann@', '555-2671', '4111']) assert(!(JSON.stringify(requests) + metrics).includes(secret), secret)
  for (const direction of ['input', 'output'])
    assert.match(metrics, new RegExp(`cordon_redactions_total\\{direction="${direction}",kind="card"\\} 2`))
  assert.equal((await fixture.eventsOf('prompts')).length, 0)
  assert.equal(requests[0]?.bytesIn, requestOf([pii]).body.length)
})
