import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import OpenAI from 'openai'
import { Registry } from 'prom-client'
import { PoolConfiguration } from '../../inference/configuration.ts'
import { openLanguage } from '../../inference/language/open.ts'
import type { TensorRuntime } from '../../inference/port.ts'
import { openRuntime } from '../../inference/runtime/open.ts'
import { type Fixture, openFixture, silent } from '../inference/node-fixture.ts'

const modelsDir = fileURLToPath(new URL('../../inference/models/', import.meta.url))

let fixture: Fixture
let runtime: TensorRuntime
let client: OpenAI

before(async () => {
  const pools = [PoolConfiguration.parse({ name: 'a', models: ['language'] })]
  runtime = await openRuntime({ modelsDir, pools, maxQueueItems: 1_024, registry: new Registry(), log: silent })
  const text = openLanguage({ runtime, pools, clock: Date.now, newId: randomUUID, random: Math.random })
  fixture = await openFixture({ pools, runtime, text })
  const { url } = await fixture.node.start({ host: '127.0.0.1', port: 0 })
  const { key } = await fixture.keys.create({ principal: 'alice' })
  client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 })
})

after(async () => {
  await fixture.close()
  await runtime.close()
})

const ask = { model: 'language', messages: [{ role: 'user' as const, content: 'In the beginning' }], max_tokens: 8, temperature: 0 }

test('npm openai: the language model that runs here, whole and streamed, with log probabilities', async () => {
  const whole = await client.chat.completions.create({ ...ask, logprobs: true, top_logprobs: 2 })
  const [choice] = whole.choices
  assert((choice?.message.content?.length ?? 0) > 0)
  assert.equal(choice?.logprobs?.content?.[0]?.top_logprobs.length, 2)
  let said = ''
  for await (const chunk of await client.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } }))
    said += chunk.choices[0]?.delta.content ?? ''
  // Nothing is left to chance at temperature 0.
  assert.equal(said, choice?.message.content)
  const events = await fixture.eventsOf('requests')
  assert.deepEqual(
    events.map(({ outcome, tokenCount, streamed, tokensOut }) => [outcome, tokenCount, streamed, tokensOut]),
    [false, true].map((streamed) => ['served', 'reported', streamed, whole.usage?.completion_tokens]),
  )
})

test('npm openai: completions and embeddings of the language model that runs here', async () => {
  const { choices } = await client.completions.create({ model: 'language', prompt: 'And God said', max_tokens: 8 })
  assert((choices[0]?.text.length ?? 0) > 0)
  const { data } = await client.embeddings.create({ model: 'language', input: ['light', 'darkness'] })
  assert(data.length === 2 && data.every(({ embedding }) => embedding.length > 1 && embedding.every(Number.isFinite)))
})
