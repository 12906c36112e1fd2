import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Registry } from 'prom-client'
import { newExchange } from '../../../inference/server/exchange.ts'
import { openNodeMetrics } from '../../../inference/server/metrics.ts'
import { passThrough } from '../../../inference/server/tracing.ts'

function exchange(model: string | null) {
  const trace = passThrough.begin({})
  const made = newExchange({
    arrivedAt: 0,
    startedAt: 0,
    dialect: 'openai',
    operation: 'chat',
    trace,
    address: '',
    purpose: null,
    withinMs: 1,
  })
  return Object.assign(made, { model, tokensIn: 10, tokensOut: 3, firstTokenMs: 20, durationMs: 50 })
}

test('requests are counted by model, tokens too, and whatever else clients ask for is one model more', async () => {
  const registry = new Registry()
  const metrics = openNodeMetrics(registry, () => new Map(), ['prose'])
  metrics.observe(exchange('prose'))
  metrics.observe({ ...exchange('prose'), outcome: 'aborted', tokensOut: 1 })
  for (let i = 0; i < 1_000; i++)
    metrics.observe({ ...exchange(`made-up-${i}`), outcome: 'invalid', tokensIn: 0, tokensOut: 0, firstTokenMs: null })
  metrics.observe({ ...exchange(null), outcome: 'invalid', tokensIn: 0, tokensOut: 0, firstTokenMs: null })
  const lines = (await registry.metrics()).split('\n').filter((line) => !line.startsWith('#'))
  const of = (name: string) => lines.filter((line) => line.startsWith(`${name}{`))
  assert.deepEqual(of('cordon_model_requests_total'), [
    'cordon_model_requests_total{model="prose",operation="chat",outcome="served"} 1',
    'cordon_model_requests_total{model="prose",operation="chat",outcome="aborted"} 1',
    'cordon_model_requests_total{model="unknown",operation="chat",outcome="invalid"} 1001',
  ])
  assert.deepEqual(of('cordon_requests_total'), [
    'cordon_requests_total{outcome="served"} 1',
    'cordon_requests_total{outcome="aborted"} 1',
    'cordon_requests_total{outcome="invalid"} 1001',
  ])
  assert.deepEqual(of('cordon_model_tokens_total').slice(0, 2), [
    'cordon_model_tokens_total{model="prose",operation="chat",direction="in"} 20',
    'cordon_model_tokens_total{model="prose",operation="chat",direction="out"} 4',
  ])
  assert.deepEqual(of('cordon_model_first_token_seconds_count'), ['cordon_model_first_token_seconds_count{model="prose"} 2'])
})

test('streams are counted while they are under way', async () => {
  const registry = new Registry()
  const metrics = openNodeMetrics(registry, () => new Map(), [])
  const over = metrics.stream()
  metrics.stream()
  over()
  assert.match(await registry.metrics(), /cordon_streams_active 1\n/)
})
