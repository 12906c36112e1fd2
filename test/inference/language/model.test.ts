import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Ajv } from 'ajv'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { PoolConfiguration } from '../../../inference/configuration.ts'
import { openLanguage } from '../../../inference/language/open.ts'
import type { TensorRuntime, TextRuntime } from '../../../inference/port.ts'
import { openRuntime } from '../../../inference/runtime/open.ts'
import { endless, textCall } from './alphabet-runtime.ts'
import { readEvents, readJson } from './reading.ts'
import { randomSchemas } from './schemas.ts'

const modelsDir = fileURLToPath(new URL('../../../inference/models/', import.meta.url))
const pools = [PoolConfiguration.parse({ name: 'local', models: ['language'] })]

let runtime: TensorRuntime
let language: TextRuntime
before(async () => {
  const log = pino({ level: 'silent' })
  runtime = await openRuntime({ modelsDir, pools, backend: 'wasm', maxQueueItems: 1_024, registry: new Registry(), log })
  let ids = 0
  language = openLanguage({ runtime, pools, clock: () => 0, newId: () => String(++ids), random: () => 0.5 })
})
after(() => runtime.close())

const ask = async (operation: 'chat' | 'completion' | 'embedding', request: Record<string, unknown>) =>
  readJson(await language.generate(textCall(operation, request)))

/** Runs of the model so far, and windows in them. */
function counted(): { runs: number; items: number } {
  const statistics = runtime.statistics('language', '1')
  assert.ok(statistics)
  return { runs: statistics.executionCount, items: statistics.inferenceCount }
}

test('the most probable continuation of a prompt is always the same', async () => {
  const { choices } = await ask('completion', { prompt: 'In the beginning ', temperature: 0, max_tokens: 80 })
  assert.equal(choices[0].text, 'the son of Israel, and the son of Israel the son of the LORD say of the LORD sha')
})

test('answers share runs of the model, and come out as they do alone', async () => {
  const request = (seed: number) => ({ prompt: 'And the king said', seed, max_tokens: 50 })
  const alone = await ask('completion', request(3))
  const before = counted()
  const texts = await Promise.all(Array.from({ length: 20 }, (_, seed) => ask('completion', request(seed))))
  const { runs, items } = counted()
  assert.equal(items - before.items, 1_000)
  // At best 50 runs of 20.
  assert.ok(runs - before.runs < 500, `${runs - before.runs} runs for 1,000 tokens`)
  assert.equal(texts[3]?.['choices'][0].text, alone.choices[0].text)
  assert.ok(new Set(texts.map((one) => one.choices[0].text)).size > 15)
})

test('the text reads like the book: most of its words are words of it', async () => {
  const { choices } = await ask('completion', { prompt: 'And the ', seed: 5, temperature: 0.5, max_tokens: 400 })
  const words =
    ' the and of to in that he shall unto for i his a lord they be is him not them it with all thou thy was god which my me said but ye their have will thee from as are when this out were upon man by you israel '
  const written: string[] = choices[0].text.toLowerCase().match(/[a-z]+/g) ?? []
  const common = written.filter((word) => words.includes(` ${word} `))
  assert.ok(written.length > 50 && common.length > written.length * 0.3, choices[0].text)
})

test('log probabilities are of the tokens that were taken, and no place has more than one in all', async () => {
  const request = { messages: [{ role: 'user', content: 'Who are you?' }], seed: 1, max_tokens: 40, logprobs: true, top_logprobs: 20 }
  const { choices } = await ask('chat', request)
  const [{ message, logprobs }] = choices
  assert.equal(logprobs.content.map(({ token }: { token: string }) => token).join(''), message.content)
  for (const { token, logprob, top_logprobs } of logprobs.content) {
    const sum = top_logprobs.reduce((total: number, top: { logprob: number }) => total + Math.exp(top.logprob), 0)
    assert.ok(sum > 0.5 && sum <= 1 + 1e-6, `${sum}`)
    const same = top_logprobs.find((top: { token: string }) => top.token === token)
    assert.ok(same === undefined || same.logprob === logprob)
    assert.ok(logprob <= 0 && logprob <= top_logprobs[0].logprob)
  }
})

test('an answer under a schema fits it: 100 schemas at once', async () => {
  const ajv = new Ajv({ strict: false })
  const messages = [{ role: 'user', content: 'Fill in the form.' }]
  await Promise.all(
    randomSchemas(20, 100).map(async (schema, seed) => {
      const tools = [{ type: 'function', function: { name: 'form', parameters: schema } }]
      const { choices } = await ask('chat', { messages, seed, tools, tool_choice: 'required' })
      const [{ message, finish_reason }] = choices
      const text = message.tool_calls[0].function.arguments
      assert.equal(finish_reason, 'tool_calls')
      const validate = ajv.compile(schema)
      assert.ok(validate(JSON.parse(text)), `${text} does not fit ${JSON.stringify(schema)}`)
    }),
  )
})

test('a stream has the text of the whole answer', async () => {
  const request = { messages: [{ role: 'user', content: 'Speak.' }], seed: 9, n: 2 }
  const whole = await ask('chat', request)
  const events = await readEvents(await language.generate(textCall('chat', { ...request, stream: true })))
  for (const { index, message } of whole.choices) {
    const deltas = events.map(({ choices }) => choices[0]).filter((choice) => choice.index === index)
    assert.equal(deltas.map(({ delta }) => delta.content ?? '').join(''), message.content)
  }
})

test('cancelling stops it between tokens', async () => {
  const cancellation = endless()
  const request = { prompt: 'And ', max_tokens: 100_000, stream: true }
  const answer = await language.generate(textCall('completion', request, cancellation))
  const events = answer.body[Symbol.asyncIterator]()
  for (let i = 0; i < 5; i++) await events.next()
  cancellation.aborted = true
  await assert.rejects(Promise.resolve(events.next()), { code: 'CANCELLED' })
  const { items } = counted()
  await ask('completion', { prompt: 'a', max_tokens: 3 })
  assert.equal(counted().items, items + 3)
})

test('texts of the book are nearer to each other than to others', async () => {
  const input = ['And the LORD spake unto Moses, saying,', 'And Moses said unto the LORD, Behold,', '0x7f {"a":[1,2,3],"b":null} <br/> &&']
  const { data } = await ask('embedding', { input })
  const vectors = data.map(({ embedding }) => embedding)
  const dot = (a: number, b: number) => vectors[a]?.reduce((sum, value, i) => sum + value * (vectors[b]?.[i] ?? 0), 0) ?? 0
  assert.ok(Math.abs(dot(0, 0) - 1) < 1e-5)
  assert.ok(dot(0, 1) > dot(0, 2) + 0.1, `${dot(0, 1)} and ${dot(0, 2)}`)
})
