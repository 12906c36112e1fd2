import assert from 'node:assert/strict'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Worker } from 'node:worker_threads'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { callOf, classify } from '../../inference/classify.ts'
import { loadMnist, type Mnist, pixels } from '../../inference/datasets/mnist.ts'
import type { TensorRuntime } from '../../inference/port.ts'
import type { RuntimeOptions } from '../../inference/runtime/open.ts'
import { valueOf } from './metric-value.ts'

const modelsDir = fileURLToPath(new URL('../../inference/models/', import.meta.url))
const log = pino({ level: 'silent' })

export type OpenRuntime = (options: Omit<RuntimeOptions, 'backend'>) => Promise<TensorRuntime>

/**
 * What every backend of the model runtime does.
 *
 * @param backend the name it must report
 */
export function runtimeContract(backend: string, open: OpenRuntime): void {
  describe(`model runtime on ${backend}`, () => {
    let images: Mnist
    before(() => {
      images = loadMnist('test')
    })
    const first = (items: number) => images.images.slice(0, items * pixels)
    describesModels(backend, open)
    answers(open, () => images, first)
    batches(open, first)
    bounds(open, first)
    closes(open, first)
    leavesTheLoopFree(open)
  })
}

const two = [
  { name: 'a', models: ['digits'] },
  { name: 'b', models: ['digits'] },
]

function options(changes: Partial<RuntimeOptions> = {}): RuntimeOptions {
  const pools = [
    { name: 'a', models: ['digits'] },
    { name: 'empty', models: [] },
  ]
  return { modelsDir, pools, maxQueueItems: 256, registry: new Registry(), log, ...changes }
}

async function withRuntime(open: OpenRuntime, changes: Partial<RuntimeOptions>, use: (runtime: TensorRuntime) => Promise<void>) {
  const runtime = await open(options(changes))
  try {
    await use(runtime)
  } finally {
    await runtime.close()
  }
}

function describesModels(backend: string, open: OpenRuntime): void {
  test('lists every version with its tensors and digest', async () => {
    await withRuntime(open, {}, async (runtime) => {
      assert.equal(runtime.backend, backend)
      assert.deepEqual(
        runtime.list().map((info) => `${info.name} ${info.version}`),
        ['digits 1', 'digits 2'],
      )
      const info = runtime.info('digits', '1')
      assert.deepEqual(info?.inputs, [{ name: 'image', datatype: 'FP32', shape: [-1, 28, 28, 1], range: [0, 1] }])
      assert.deepEqual(info?.outputs, [{ name: 'probabilities', datatype: 'FP32', shape: [-1, 10] }])
      assert.match(info?.digest ?? '', /^sha256:[0-9a-f]{64}$/)
      assert.notEqual(info?.digest, runtime.info('digits', '2')?.digest)
      assert.equal(runtime.info('digits', '3'), undefined)
      assert.equal(runtime.info('../digits', '1'), undefined)
    })
  })

  test('refuses to open on weights that differ by one bit, and ends its threads', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'cordon-models-'))
    try {
      await cp(modelsDir, folder, { recursive: true })
      const file = join(folder, 'digits', '2', 'weights.bin')
      const weights = await readFile(file)
      weights[1_000] = (weights[1_000] ?? 0) ^ 1
      await writeFile(file, weights)
      const threads = countThreads()
      await assert.rejects(open(options({ pools: two, modelsDir: folder })), { code: 'MODEL_CORRUPT' })
      assert.deepEqual(threads(), { started: 2, ended: 2 })
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  test('refuses to open for a pool that names a model which is not there', async () => {
    await assert.rejects(open(options({ pools: [{ name: 'a', models: ['letters'] }] })), { code: 'MODEL_NOT_FOUND' })
  })
}

function answers(open: OpenRuntime, images: () => Mnist, first: (items: number) => Float32Array): void {
  for (const version of ['1', '2']) {
    test(`version ${version} gets at least 98.5 % of the 10,000 test images right, as its manifest says`, async () => {
      const manifest = JSON.parse(await readFile(join(modelsDir, 'digits', version, 'manifest.json'), 'utf8'))
      await withRuntime(open, { maxQueueItems: 10_000 }, async (runtime) => {
        const output = await classify(runtime, { model: 'digits', version: version, pool: 'a' }, images().images, images().count)
        let right = 0
        for (let i = 0; i < images().count; i++) if (classOf(output, i) === images().labels[i]) right++
        assert.ok(right >= 9_850, `${right} right`)
        // Backends differ in the last bits, which may tip an image or two.
        assert.ok(Math.abs(right / images().count - manifest.accuracy.top1) <= 0.0002, `${right} right`)
      })
    })
  }

  test('answers are probabilities', async () => {
    await withRuntime(open, {}, async (runtime) => {
      const inference = await runtime.infer(callOf(runtime, { model: 'digits', version: '1', pool: 'a' }, first(5), 5))
      const output = inference.tensors()[0]?.data as Float32Array
      assert.equal(output.length, 50)
      assert.ok(output.every((p) => p >= 0 && p <= 1))
      for (let i = 0; i < 5; i++) assert.ok(Math.abs(output.subarray(i * 10, i * 10 + 10).reduce((sum, p) => sum + p, 0) - 1) < 1e-5)
      assert.ok(inference.queueMs >= 0)
    })
  })

  test('the same input gives the same answer within 1e-5, alone, batched, or split over batches', async () => {
    await withRuntime(open, {}, async (runtime) => {
      const alone: Float32Array[] = []
      for (let i = 0; i < 40; i++) alone.push(await classify(runtime, { model: 'digits', version: '2', pool: 'a' }, item(first(40), i), 1))
      const together = await Promise.all(
        alone.map((_, i) => classify(runtime, { model: 'digits', version: '2', pool: 'a' }, item(first(40), i), 1)),
      )
      const split = await classify(runtime, { model: 'digits', version: '2', pool: 'a' }, first(40), 40)
      for (const [i, expected] of alone.entries()) {
        for (const [c, p] of expected.entries()) {
          assert.ok(Math.abs(p - (together[i]?.[c] ?? Number.NaN)) <= 1e-5, `item ${i} batched`)
          assert.ok(Math.abs(p - (split[i * 10 + c] ?? Number.NaN)) <= 1e-5, `item ${i} split`)
        }
      }
    })
  })
}

function batches(open: OpenRuntime, first: (items: number) => Float32Array): void {
  test('requests of one tick share batches of at most maxItems, by version and pool', async () => {
    const registry = new Registry()
    await withRuntime(
      open,
      { pools: two, registry, configurationOf: () => ({ batching: { maxItems: 8, maxWaitMicros: 0 } }) },
      async (runtime) => {
        const image = first(1)
        const ask = (version: string, pool: string, times: number) =>
          Array.from({ length: times }, () => classify(runtime, { model: 'digits', version: version, pool: pool }, image, 1))
        await Promise.all([...ask('1', 'a', 20), ...ask('2', 'a', 3), ...ask('1', 'b', 2)])
        // 20 items in batches of 8 are 3 runs; the others are one each.
        assert.deepEqual(await batchCounts(registry), { '1 a': '3 runs of 20', '2 a': '1 runs of 3', '1 b': '1 runs of 2' })
      },
    )
  })

  test('memory is flat over 300 requests of changing size', async () => {
    const registry = new Registry()
    await withRuntime(open, { registry }, async (runtime) => {
      await classify(runtime, { model: 'digits', version: '1', pool: 'a' }, first(32), 32)
      const held = { bytes: runtime.tensorBytes(), tensors: await valueOf(registry, 'cordon_runtime_tensors', { pool: 'a' }) }
      assert.ok(held.bytes > 0 && held.tensors > 0)
      for (let i = 0; i < 300; i++) await classify(runtime, { model: 'digits', version: '1', pool: 'a' }, first(1 + (i % 40)), 1 + (i % 40))
      assert.deepEqual({ bytes: runtime.tensorBytes(), tensors: await valueOf(registry, 'cordon_runtime_tensors', { pool: 'a' }) }, held)
    })
  })

  test('opening and closing leaves no thread and no metric behind', async () => {
    const registry = new Registry()
    const threads = countThreads()
    for (let i = 0; i < 2; i++) await withRuntime(open, { registry }, async (runtime) => assert.ok(runtime.tensorBytes() > 0))
    assert.deepEqual(threads(), { started: 2, ended: 2 })
    assert.deepEqual(registry.getMetricsAsArray(), [])
  })
}

function bounds(open: OpenRuntime, first: (items: number) => Float32Array): void {
  test('refuses with OVERLOADED what exceeds a pool, in that pool only, and recovers', async () => {
    await withRuntime(open, { pools: two, maxQueueItems: 10 }, async (runtime) => {
      const waiting = [
        classify(runtime, { model: 'digits', version: '1', pool: 'a' }, first(6), 6),
        classify(runtime, { model: 'digits', version: '2', pool: 'a' }, first(4), 4),
      ]
      assert.equal(runtime.depth('a'), 2)
      await assert.rejects(classify(runtime, { model: 'digits', version: '1', pool: 'a' }, first(1), 1), { code: 'OVERLOADED' })
      assert.equal((await classify(runtime, { model: 'digits', version: '1', pool: 'b' }, first(10), 10)).length, 100)
      await Promise.all(waiting)
      assert.equal(runtime.depth('a'), 0)
      assert.equal((await classify(runtime, { model: 'digits', version: '1', pool: 'a' }, first(10), 10)).length, 100)
    })
  })

  test('refuses what it cannot run', async () => {
    await withRuntime(open, { maxQueueItems: 10 }, async (runtime) => {
      const cases: [string, string, string, number, number, string][] = [
        ['letters', '1', 'a', 1, 1, 'MODEL_NOT_FOUND'],
        ['digits', '9', 'a', 1, 1, 'MODEL_NOT_FOUND'],
        ['digits', '1', 'c', 1, 1, 'MODEL_NOT_FOUND'],
        ['digits', '1', 'empty', 1, 1, 'MODEL_NOT_FOUND'],
        ['digits', '1', 'a', 1, 2, 'INPUT_INVALID'],
        ['digits', '1', 'a', 0, 0, 'INPUT_INVALID'],
        ['digits', '1', 'a', 1, 1.5, 'INPUT_INVALID'],
        ['digits', '1', 'a', 11, 11, 'INPUT_INVALID'],
      ]
      for (const [model, version, pool, given, items, code] of cases) {
        await assert.rejects(
          classify(runtime, { model, version, pool }, first(given), items),
          { code },
          `${model} ${version} ${pool} ${items}`,
        )
      }
      assert.equal(runtime.depth('a'), 0)
    })
  })
}

function leavesTheLoopFree(open: OpenRuntime): void {
  test('while a model runs, the event loop is free', async () => {
    await withRuntime(open, { maxQueueItems: 2_000 }, async (runtime) => {
      const used = performance.eventLoopUtilization()
      await classify(runtime, { model: 'digits', version: '2', pool: 'a' }, new Float32Array(2_000 * pixels), 2_000)
      const { utilization } = performance.eventLoopUtilization(used)
      assert.ok(utilization < 0.5, `the event loop was busy for ${(utilization * 100).toFixed(0)} %`)
    })
  })
}

function closes(open: OpenRuntime, first: (items: number) => Float32Array): void {
  test('requests that wait when it closes are rejected with CLOSED, and none hangs', async () => {
    const runtime = await open(options({ configurationOf: () => ({ batching: { maxItems: 4, maxWaitMicros: 0 } }) }))
    const waiting = Array.from({ length: 30 }, () => classify(runtime, { model: 'digits', version: '1', pool: 'a' }, first(1), 1))
    const settled = Promise.allSettled(waiting)
    const closing = runtime.close()
    for (const result of await settled) assert.equal(result.status === 'rejected' && result.reason.code, 'CLOSED')
    await closing
    await runtime.close()
    await assert.rejects(classify(runtime, { model: 'digits', version: '1', pool: 'a' }, first(1), 1), { code: 'CLOSED' })
    assert.equal(runtime.depth('a'), 0)
  })

  test('a request of several batches that is cut off by closing is rejected whole', async () => {
    const runtime = await open(options({ configurationOf: () => ({ batching: { maxItems: 4, maxWaitMicros: 0 } }) }))
    const small = classify(runtime, { model: 'digits', version: '1', pool: 'a' }, first(4), 4)
    const large = assert.rejects(classify(runtime, { model: 'digits', version: '1', pool: 'a' }, first(40), 40), { code: 'CLOSED' })
    assert.equal((await small).length, 40)
    await runtime.close()
    await large
  })
}

function item(images: Float32Array, index: number): Float32Array {
  return images.subarray(index * pixels, (index + 1) * pixels)
}

function classOf(output: Float32Array, index: number): number {
  const row = output.subarray(index * 10, index * 10 + 10)
  return row.indexOf(Math.max(...row))
}

/** Threads that were started and ended since. */
function countThreads(): () => { started: number; ended: number } {
  const counts = { started: 0, ended: 0 }
  const watch = (thread: Worker) => {
    counts.started++
    thread.once('exit', () => counts.ended++)
  }
  process.on('worker', watch)
  return () => {
    process.off('worker', watch)
    return counts
  }
}

/** From the exported histogram: `version pool` to how many runs of how many items in all. */
async function batchCounts(registry: Registry): Promise<Record<string, string>> {
  const metric = await registry.getSingleMetric('cordon_runtime_batch_items')?.get()
  const found: Record<string, { count?: number; sum?: number }> = {}
  for (const value of metric?.values ?? []) {
    const name = 'metricName' in value ? String(value.metricName) : ''
    const kind = name.endsWith('_count') ? 'count' : name.endsWith('_sum') ? 'sum' : undefined
    if (kind) (found[`${value.labels['version']} ${value.labels['pool']}`] ??= {})[kind] = value.value
  }
  return Object.fromEntries(Object.entries(found).map(([key, { count, sum }]) => [key, `${count} runs of ${sum}`]))
}
