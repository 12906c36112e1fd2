import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Hardener } from '../../../inference/server/harden.ts'
import { AnswerStream } from '../../../inference/server/openai/answer-stream.ts'
import { AnswerTap, type Tally } from '../../../inference/server/openai/answer-tap.ts'
import type { ToolRules } from '../../../inference/server/openai/tool-rules.ts'
import { Refusal } from '../../../inference/server/refusal.ts'
import { delta, events, said, spoken, usage } from './scripted-text.ts'

interface Passed {
  readonly text: string
  readonly tally: Tally
  readonly tap: AnswerTap
}

interface Through {
  readonly hardener?: () => Hardener | undefined
  readonly tools?: ToolRules
}

/** Sends the pieces through, one each millisecond. */
function pass(pieces: readonly Uint8Array[], { hardener = () => undefined, tools }: Through = {}): Passed {
  const tap = new AnswerTap(40)
  const stream = new AnswerStream({ tap, hardener, tools })
  let text = ''
  pieces.forEach((piece, i) => {
    if (!stream.done) text += stream.push(piece, i).toString()
  })
  if (!stream.done) text += stream.end(pieces.length).toString()
  return { text, tally: tap.tally, tap }
}

/** The same bytes, cut anywhere. */
function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const places = [...new Set([0, ...at.map((place) => place % bytes.length), bytes.length])].sort((a, b) => a - b)
  return places.slice(1).map((end, i) => bytes.subarray(places[i], end))
}

const cuts = fc.array(fc.nat(), { maxLength: 40 })
const dataOf = (text: string) =>
  text
    .split('\n\n')
    .filter((event) => event.startsWith('data: {'))
    .map((event) => JSON.parse(event.slice(6)))

/** Words that look like what the tap looks for. */
const tricky = [
  '"usage":{"completion_tokens":999}',
  'usage',
  'finish_reason',
  '"finish_reason":"length"',
  '[DONE]',
  'data: [DONE]\n\n',
  '\n\n',
  'tool_calls',
  '\r\n\r\nerror',
]

test('bytes pass as they are, and what is learnt does not depend on where they were cut', () => {
  const words = ['Hel', 'lo', ...tricky, 'ü👋', ' end']
  const whole = Buffer.concat([Buffer.from(': ping\n\n'), ...spoken(...words)])
  fc.assert(
    fc.property(cuts, fc.boolean(), (places, crlf) => {
      const bytes = crlf ? Buffer.from(whole.toString().replaceAll('\n', '\r\n')) : whole
      const { text, tally, tap } = pass(cut(bytes, places))
      assert.equal(text, bytes.toString())
      const { firstAt, ...rest } = tally
      assert.deepEqual(rest, { tokensIn: 9, tokensOut: 3, tokenCount: 'reported', finishReasons: ['stop'], toolCalls: 0 })
      assert(firstAt !== null && tap.done && !tap.failed)
    }),
    { seed: 11, numRuns: 300 },
  )
})

test('an event passes with its last byte, not with the next event', () => {
  for (const feed of ['\n', '\r\n']) {
    const bytes = Buffer.from(`data: {"a":1}${feed}${feed}data: {"b":2}${feed}${feed}`)
    const stream = new AnswerStream({ tap: new AnswerTap(0), hardener: () => undefined, tools: undefined })
    const passed = [...bytes].map((byte) => stream.push(Buffer.of(byte), 0).length)
    const half = bytes.length / 2
    assert.deepEqual(
      passed.flatMap((length, i) => (length === 0 ? [] : [[i, length]])),
      [
        [half - 1, half],
        [bytes.length - 1, half],
      ],
    )
  }
})

test('text that looks like usage, an end or tool calls is only text', () => {
  const { tally, tap } = pass(
    events(delta({ content: 'a' }), ...tricky.map((content) => delta({ content })), delta({}, 'length'), '[DONE]'),
  )
  // One word before, one for each of them.
  assert.deepEqual([tally.tokensOut, tally.tokenCount], [1 + tricky.length, 'estimated'])
  assert.deepEqual([tally.finishReasons, tally.toolCalls, tap.failed], [['length'], 0, false])
  // 40 bytes asked, four to a token.
  assert.equal(tally.tokensIn, 10)
})

test('the first token is the first word, not the role', () => {
  const { tally } = pass(
    events(delta({ role: 'assistant', content: '' }), ': nothing', delta({ content: 'a' }), delta({ content: 'b' }, 'stop'), '[DONE]'),
  )
  assert.equal(tally.firstAt, 2)
  assert.equal(tally.tokensOut, 2)
})

test('ends by choice, calls by number, usage that comes with every event', () => {
  const call = (index: number, text: string) => ({ tool_calls: [{ index, function: { arguments: text } }] })
  const { tally } = pass(
    events(
      { ...delta({ content: 'x' }), usage: null },
      { ...delta(call(0, '{')), usage: { prompt_tokens: 4, completion_tokens: 1 } },
      delta(call(0, '}')),
      delta(call(1, '{}')),
      delta({}, 'tool_calls', { index: 1 }),
      delta({}, 'stop', { index: 0 }),
      { ...usage, usage: { prompt_tokens: 4, completion_tokens: 7 } },
      '[DONE]',
    ),
  )
  assert.deepEqual(tally, {
    tokensIn: 4,
    tokensOut: 7,
    tokenCount: 'reported',
    finishReasons: ['stop', 'tool_calls'],
    toolCalls: 2,
    firstAt: 0,
  })
})

test('numbers that no server would report are not believed', () => {
  for (const tokens of [-1, 1.5, 1e300, '7', null]) {
    const { tally } = pass(
      events(delta({ content: 'a' }, 'stop'), { ...usage, usage: { prompt_tokens: 1, completion_tokens: tokens } }, '[DONE]'),
    )
    assert(tally.tokensOut <= 1, String(tokens))
  }
})

test("a model's error inside a stream is seen, and passes", () => {
  const pieces = events(delta({ content: 'a' }), { error: { message: 'out of memory' } })
  const { text, tap } = pass(pieces)
  assert.equal(text, Buffer.concat(pieces).toString())
  assert.equal(tap.failed, true)
})

test('a stream that is cut off is no answer', () => {
  assert.throws(() => pass(events(delta({ content: 'a' }))), { code: 'UPSTREAM_FAILED' })
  // Without [DONE], but with an end: some servers are like that.
  assert.equal(pass(events(delta({ content: 'a' }, 'stop'))).tap.done, false)
})

test('an event that never ends is given up', () => {
  const piece = Buffer.alloc(65_536, 'a')
  assert.throws(() => pass(Array.from({ length: 65 }, () => piece)), { code: 'UPSTREAM_FAILED' })
})

const logprobs = {
  content: [{ token: 'a', logprob: -0.123456, bytes: [97], top_logprobs: [{ token: 'b', logprob: -2.98765, bytes: [98] }] }],
}

test('hardened streams keep their text, whatever the cuts', () => {
  const words = ['Hel', ...tricky, 'lo']
  const bytes = Buffer.concat(events(...words.map((content) => delta({ content }, null, { logprobs })), delta({}, 'stop'), usage, '[DONE]'))
  fc.assert(
    fc.property(
      cuts,
      fc.constantFrom<Hardener>({ level: 'rounded', decimals: 1 }, { level: 'label-only', decimals: 0 }),
      (places, hardener) => {
        const { text, tally } = pass(cut(bytes, places), { hardener: () => hardener })
        const choices = dataOf(text).flatMap((event) => event.choices)
        assert.equal(choices.map((choice) => choice.delta.content ?? '').join(''), words.join(''))
        const seen = hardener.level === 'rounded' ? [-0.1, -3] : undefined
        for (const choice of choices.slice(0, words.length))
          assert.deepEqual(
            choice.logprobs && [choice.logprobs.content[0].logprob, choice.logprobs.content[0].top_logprobs[0].logprob],
            seen ?? null,
          )
        assert(text.endsWith('data: [DONE]\n\n'))
        assert.equal(tally.tokensOut, 3)
      },
    ),
    { seed: 5, numRuns: 100 },
  )
})

test('a lease that comes half-way hardens the rest, from the next whole event on', () => {
  const [first, second, ...rest] = events(
    delta({ content: 'a' }, null, { logprobs }),
    delta({ content: 'b' }, null, { logprobs }),
    delta({}, 'stop'),
    '[DONE]',
  )
  assert(first !== undefined && second !== undefined)
  let hardener: Hardener | undefined
  const stream = new AnswerStream({ tap: new AnswerTap(0), hardener: () => hardener, tools: undefined })
  // The second event is half there when the lease comes.
  assert.deepEqual(stream.push(Buffer.concat([first, second.subarray(0, 20)]), 0), first)
  hardener = { level: 'label-only', decimals: 0 }
  const after = Buffer.concat([stream.push(second.subarray(20), 1), ...rest.map((piece) => stream.push(piece, 2))]).toString()
  assert.deepEqual(
    dataOf(after).map((event) => event.choices[0].logprobs),
    [null, null],
  )
})

test('what cannot be read cannot be hardened', () => {
  const hardener = () => ({ level: 'rounded', decimals: 1 }) as const
  assert.throws(() => pass(events('{"choices":['), { hardener }), { code: 'FAILED_UPSTREAM' })
})

const adding = { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'], additionalProperties: false }
const tools: ToolRules = new Map([['add', adding]])
const begin = (index: number, name: string, more: object = {}) =>
  delta({ tool_calls: [{ index, id: `c${index}`, type: 'function', function: { name, arguments: '' } }], ...more })
const go = (index: number, text: string) => delta({ tool_calls: [{ index, function: { arguments: text } }] })

/** What clients make of a stream: the text, and the calls. */
function assembled(text: string) {
  const calls: { name: string; text: string }[] = []
  let said = ''
  for (const event of dataOf(text)) {
    for (const { delta: add } of event.choices) {
      said += add.content ?? ''
      for (const { index, function: called } of add.tool_calls ?? []) {
        const call = (calls[index] ??= { name: '', text: '' })
        call.name += called.name ?? ''
        call.text += called.arguments ?? ''
      }
    }
  }
  return { said, calls }
}

test('checked calls go out when they are complete, text at once', () => {
  const pieces = events(
    begin(0, 'add', { role: 'assistant', content: 'Let me see. ' }),
    go(0, '{"a"'),
    delta({ content: 'Hm. ' }),
    go(0, ':1}'),
    begin(1, 'add'),
    go(1, '{"a":2}'),
    delta({}, 'tool_calls'),
    usage,
    '[DONE]',
  )
  const stream = new AnswerStream({ tap: new AnswerTap(0), hardener: () => undefined, tools })
  const out = pieces.map((piece) => stream.push(piece, 0).toString())
  assert.deepEqual(
    out
      .map((text) => assembled(text))
      .map(
        ({ said, calls }) =>
          `${said}${calls
            .filter(Boolean)
            .map(({ text }) => text)
            .join('+')}`,
      ),
    ['Let me see. ', '', 'Hm. ', '', '{"a":1}', '', '{"a":2}', '', ''],
  )
  const whole = assembled(out.join(''))
  assert.deepEqual(whole, {
    said: 'Let me see. Hm. ',
    calls: [
      { name: 'add', text: '{"a":1}' },
      { name: 'add', text: '{"a":2}' },
    ],
  })
  assert.equal(out.at(-1), 'data: [DONE]\n\n')
})

test('calls that were not offered, or do not fit, never pass', () => {
  const again = delta({ tool_calls: [{ index: 0, function: { name: 'add', arguments: '{"a":2}' } }] })
  const rows: readonly (readonly [string, readonly unknown[]])[] = [
    ['another name', [begin(0, 'rm'), go(0, '{"a":1}'), delta({}, 'tool_calls')]],
    ['arguments that do not fit', [begin(0, 'add'), go(0, '{"a":"1"}'), delta({}, 'tool_calls')]],
    ['arguments that are no JSON', [begin(0, 'add'), go(0, '{"a":1'), delta({}, 'tool_calls')]],
    ['an end without a reason', [begin(0, 'add'), go(0, '{"a":1.5}'), '[DONE]']],
    ['a stream that just ends', [delta({}, 'stop', { index: 1 }), begin(0, 'add'), go(0, '{')]],
    ['more for a call that passed', [begin(0, 'add'), go(0, '{"a":1}'), begin(1, 'add'), go(1, '{"a":1}'), again, delta({}, 'tool_calls')]],
    ['a number beyond all bounds', [begin(1_000_000, 'add')]],
    ['the older way to call', [delta({ function_call: { name: 'add', arguments: '{"a":1}' } })]],
    ['too much to hold', [begin(0, 'add'), ...Array.from({ length: 11 }, () => go(0, ' '.repeat(100_000)))]],
  ]
  for (const [name, values] of rows) {
    const stream = new AnswerStream({ tap: new AnswerTap(0), hardener: () => undefined, tools })
    let text = ''
    const run = () => {
      for (const piece of events(...values)) text += stream.push(piece, 0).toString()
      text += stream.end(0).toString()
    }
    assert.throws(run, (error) => error instanceof Refusal && error.details.reason === 'tool_call_invalid', name)
    assert(!text.includes('rm') && !/\\"1\\"|\{\\"a\\":2|1\.5/.test(text), name)
  }
})

test('calls held back are cut anywhere without harm', () => {
  const bytes = Buffer.concat(
    events(begin(0, 'add', { content: 'ü' }), go(0, '{"a":'), go(0, '12}'), delta({}, 'tool_calls', { logprobs }), usage, '[DONE]'),
  )
  fc.assert(
    fc.property(cuts, fc.boolean(), (places, hardened) => {
      const { text, tally } = pass(cut(bytes, places), {
        tools,
        hardener: () => (hardened ? { level: 'label-only', decimals: 0 } : undefined),
      })
      assert.deepEqual(assembled(text), { said: 'ü', calls: [{ name: 'add', text: '{"a":12}' }] })
      assert.deepEqual([tally.toolCalls, tally.finishReasons], [1, ['tool_calls']])
      assert.equal(text.includes('-0.123456'), !hardened)
    }),
    { seed: 3, numRuns: 100 },
  )
})

test('the tap of a whole answer', () => {
  const tap = new AnswerTap(40)
  tap.answer(said('12345678', { message: { content: '12345678', tool_calls: [{ id: 'a' }, { id: 'b' }] } }, null))
  assert.deepEqual(tap.tally, { tokensIn: 10, tokensOut: 2, tokenCount: 'estimated', finishReasons: ['stop'], toolCalls: 2, firstAt: null })
})
