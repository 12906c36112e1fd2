import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import OpenAI from 'openai'
import { until } from '../inference/memory-bus.ts'
import { openTextFixture, type TextFixture } from '../inference/openai/scripted-text.ts'
import { parrot } from './parrot.ts'
import { runPython, setUpPython } from './python.ts'

let fixture: TextFixture
let url: string
let client: OpenAI
let throttled: string

before(async () => {
  await setUpPython()
  fixture = await openTextFixture({ maxTokens: 64 })
  fixture.text.script = parrot
  url = (await fixture.node.start({ host: '127.0.0.1', port: 0 })).url
  client = new OpenAI({ baseURL: `${url}/v1`, apiKey: fixture.key, maxRetries: 0 })
  throttled = (await fixture.keys.create({ principal: 'mallory' })).key
  // One input, and the node's clock stands: nothing comes back.
  await fixture.contain('principal:mallory', 'throttle-principal', { requests: 1, windowMs: 60_000 })
})
after(() => fixture.close())

const messages = [{ role: 'user', content: 'say it again' }] as const
const weather: OpenAI.ChatCompletionTool = {
  type: 'function',
  function: {
    name: 'weather',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false },
  },
}
const ask = { model: 'parrot', messages: [...messages] }

/** What an SDK threw. */
async function thrown(work: Promise<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> {
  const error = await work.then(
    () => undefined,
    (cause: unknown) => cause,
  )
  assert(error instanceof OpenAI.APIError, String(error))
  return error
}

test('npm openai: chat, whole and streamed, with usage', async () => {
  const whole = await client.chat.completions.create({ ...ask, temperature: 0, seed: 1, max_completion_tokens: 9 })
  assert.equal(whole.choices[0]?.message.content, 'say it again')
  assert.equal(whole.usage?.total_tokens, 8)
  let said = ''
  let total: number | undefined
  for await (const chunk of await client.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } })) {
    said += chunk.choices[0]?.delta.content ?? ''
    total = chunk.usage?.total_tokens ?? total
  }
  assert.deepEqual([said, total], ['say it again', 8])
  const runner = client.chat.completions.stream(ask)
  assert.equal((await runner.finalChatCompletion()).choices[0]?.message.content, 'say it again')
})

test('npm openai: tools that it must call, and their answer sent back', async () => {
  const choice: OpenAI.ChatCompletionToolChoiceOption = { type: 'function', function: { name: 'weather' } }
  const forced = { ...ask, tools: [weather], tool_choice: choice }
  const { choices } = await client.chat.completions.create(forced)
  const message = choices[0]?.message
  const call = message?.tool_calls?.[0]
  assert(message !== undefined && call?.type === 'function')
  assert.deepEqual([call.function.name, JSON.parse(call.function.arguments)], ['weather', { city: 'Paris' }])
  const streamed = await client.chat.completions.stream(forced).finalChatCompletion()
  const [again] = streamed.choices[0]?.message.tool_calls ?? []
  assert(again?.type === 'function')
  assert.equal(again.function.arguments, '{"city":"Paris"}')
  const told = [...messages, message, { role: 'tool', tool_call_id: call.id, content: 'rain' } as const]
  assert.equal((await client.chat.completions.create({ ...ask, messages: told })).choices[0]?.message.content, 'rain')
})

test('npm openai: log probabilities, completions, embeddings, models', async () => {
  const { choices } = await client.chat.completions.create({ ...ask, logprobs: true, top_logprobs: 1 })
  assert.equal(choices[0]?.logprobs?.content?.[0]?.logprob, -0.123456)
  const completion = await client.completions.create({ model: 'parrot', prompt: 'once upon', max_tokens: 8 })
  assert.equal(completion.choices[0]?.text, 'once upon')
  let said = ''
  for await (const { choices: parts } of await client.completions.create({ model: 'parrot', prompt: 'once upon', stream: true }))
    said += parts[0]?.text ?? ''
  assert.equal(said, 'once upon')
  // It asks for base64 unless told otherwise, and decodes it.
  const embedded = await client.embeddings.create({ model: 'parrot', input: ['a', 'b'] })
  assert.deepEqual(
    embedded.data.map(({ embedding }) => embedding),
    [
      [0.5, -0.25, 0.125, -1],
      [0.5, -0.25, 0.125, -1],
    ],
  )
  assert.deepEqual(
    embedded.data[0]?.embedding,
    (await client.embeddings.create({ model: 'parrot', input: 'a', encoding_format: 'float' })).data[0]?.embedding,
  )
  assert.deepEqual(
    (await client.models.list()).data.map(({ id }) => id),
    ['parrot'],
  )
  assert.equal((await client.models.retrieve('parrot')).object, 'model')
})

test('npm openai: refusals are the errors that it knows', async () => {
  const other = (apiKey: string, maxRetries = 0) => new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries })
  assert((await thrown(other('no').chat.completions.create(ask))) instanceof OpenAI.AuthenticationError)
  const missing = await thrown(client.chat.completions.create({ ...ask, model: 'heron' }))
  assert(missing instanceof OpenAI.NotFoundError)
  assert.equal(missing.code, 'model_not_found')
  const much = await thrown(client.chat.completions.create({ ...ask, max_tokens: 65 }))
  assert(much instanceof OpenAI.BadRequestError)
  assert.deepEqual([much.param, much.code], ['max_tokens', 'integer_above_max_value'])
  const limited = other(throttled)
  const refused = await thrown(limited.chat.completions.create(ask))
  assert(refused instanceof OpenAI.RateLimitError)
  assert(Number(refused.headers?.get('retry-after')) > 0)
})

test('npm openai: a stream that breaks off is thrown, and a busy model is asked again', async () => {
  fixture.text.script = (call) => {
    const { body } = parrot(call)
    return {
      body: (async function* () {
        let left = 2
        for await (const piece of body) {
          if (left-- === 0) throw new Error('gone')
          yield piece
        }
      })(),
    }
  }
  let said = ''
  const reading = (async () => {
    for await (const chunk of await client.chat.completions.create({ ...ask, stream: true })) said += chunk.choices[0]?.delta.content ?? ''
  })()
  assert.match((await thrown(reading)).message, /went wrong/)
  assert.equal(said, 'say ')
  let asked = 0
  fixture.text.script = (call) => (++asked === 1 ? { ...parrot(call), status: 429, contentType: 'application/json' } : parrot(call))
  const patient = new OpenAI({ baseURL: `${url}/v1`, apiKey: fixture.key, maxRetries: 1 })
  assert.equal((await patient.chat.completions.create(ask)).choices[0]?.message.content, 'say it again')
  assert.equal(asked, 2)
  fixture.text.script = parrot
})

test('npm openai: a client that leaves half-way', async () => {
  const ended = fixture.text.ended
  const stream = await client.chat.completions.create({ ...ask, messages: [{ role: 'user', content: 'forever' }], stream: true })
  for await (const chunk of stream) if (chunk.choices[0]?.delta.content === 'ever ') break
  await until(() => fixture.text.ended === ended + 1)
  const all = await fixture.eventsOf('requests')
  const last = all.at(-1)
  assert.deepEqual([last?.outcome, last?.status, last?.streamed, (last?.tokensOut ?? 0) >= 2], ['aborted', 499, true, true])
})

test('PyPI openai: the same', async () => {
  const environment = { CORDON_URL: url, CORDON_KEY: fixture.key, THROTTLED_KEY: throttled }
  assert.match(await runPython('openai_client.py', environment), /all well/)
  const last = (await fixture.eventsOf('requests')).at(-1)
  assert.equal(last?.outcome, 'aborted')
})
