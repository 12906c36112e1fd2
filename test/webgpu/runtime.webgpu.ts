import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { classify } from '../../inference/classify.ts'
import { loadMnist, pixels } from '../../inference/datasets/mnist.ts'
import { openRuntime } from '../../inference/runtime/open.ts'
import { modelContract } from '../contracts/runtime-models.ts'

// Needs scripts/setup-webgpu.sh and a Vulkan driver; fails without them, since a skipped test would say that the backend works.
// The driver may compute in software, some hundred times slower: of the contract's parts, those whose models are small.
describe('model runtime on webgpu', () => {
  // Terminated from outside, a thread that uses Dawn may take the process with it.
  modelContract(
    (options) => openRuntime({ ...options, backend: 'webgpu' }),
    (thread) => thread.postMessage({ type: 'lose' }, []),
  )

  test('gets at least 60 of the first 64 digits right', async () => {
    const modelsDir = fileURLToPath(new URL('../../inference/models/', import.meta.url))
    const pools = [{ name: 'a', models: ['digits'] }]
    const configurationOf = () => ({ batching: { maxItems: 8, maxWaitMicros: 0 } })
    const rest = { maxQueueItems: 64, registry: new Registry(), log: pino({ level: 'silent' }) }
    const runtime = await openRuntime({ modelsDir, pools, backend: 'webgpu', configurationOf, ...rest })
    try {
      assert.equal(runtime.backend, 'webgpu')
      const { images, labels } = loadMnist('test')
      const output = await classify(runtime, { model: 'digits', version: '2', pool: 'a' }, images.subarray(0, 64 * pixels), 64)
      const classes = Array.from({ length: 64 }, (_, i) => {
        const row = output.subarray(i * 10, i * 10 + 10)
        return row.indexOf(Math.max(...row))
      })
      assert.ok(classes.filter((found, i) => found === labels[i]).length >= 60)
    } finally {
      await runtime.close()
    }
  })
})
