import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { openRuntime } from '../../inference/runtime/open.ts'
import { runtimeContract } from '../contracts/runtime.ts'

runtimeContract('wasm', (options) => openRuntime({ ...options, backend: 'wasm' }))

test('the log says which backend was chosen, and nothing else is printed', async (t) => {
  const printed = (['log', 'warn', 'error', 'info'] as const).map((method) => t.mock.method(console, method, () => {}))
  const lines: { msg: string; backend?: string; module?: string }[] = []
  const log = pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) })
  const modelsDir = fileURLToPath(new URL('../../inference/models/', import.meta.url))
  const pools = [{ name: 'a', models: ['digits'] }]
  const runtime = await openRuntime({ modelsDir, pools, backend: 'wasm', maxQueueItems: 8, registry: new Registry(), log })
  await runtime.close()
  const chosen = lines.find((line) => line.msg === 'inference backend chosen')
  assert.equal(chosen?.backend, 'wasm')
  assert.equal(chosen?.module, '@tensorflow/tfjs-backend-wasm')
  for (const method of printed) assert.equal(method.mock.callCount(), 0)
})
