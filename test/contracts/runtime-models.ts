import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Worker } from 'node:worker_threads'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import type { Tensor } from '../../inference/port.ts'
import { valueOf } from './metric-value.ts'
import { writeGraph } from './models.ts'
import type { OpenRuntime } from './runtime.ts'
import { ask, double, row, tensor, type Using, until } from './runtime-ask.ts'
import { endings } from './runtime-endings.ts'
import { languageModel } from './runtime-language.ts'

/**
 * Models of other formats, several tensors, memory, deadlines, and threads that end.
 *
 * @param end ends a thread as if it had died
 */
export function modelContract(open: OpenRuntime, end: (thread: Worker) => void = (thread) => void thread.terminate()): void {
  let modelsDir: string
  before(async () => {
    modelsDir = await mkdtemp(join(tmpdir(), 'cordon-contract-'))
    for (const name of ['pair', 'free', 'wide', 'endless'] as const) await writeGraph(modelsDir, name)
    await writeGraph(modelsDir, 'free', '2')
  })
  after(() => rm(modelsDir, { recursive: true }))
  const using: Using = async (changes, use) => {
    const registry = new Registry()
    const pools = [{ name: 'a', models: ['pair', 'free', 'wide'] }]
    const runtime = await open({ modelsDir, pools, maxQueueItems: 256, registry, log: pino({ level: 'silent' }), ...changes })
    try {
      await use(runtime, registry)
    } finally {
      await runtime.close()
    }
  }
  tensors(using)
  batching(using)
  memory(using, () => modelsDir)
  endings(using, end)
  languageModel(using)
}

function tensors(using: Using): void {
  test('a graph model takes several inputs by name, in any order, and gives the outputs that are asked for', async () => {
    await using({}, async (runtime) => {
      const info = runtime.info('pair', '1')
      assert.deepEqual(
        [info?.platform, info?.operations, info?.labels, info?.inputs[0]?.range],
        ['tfjs-graph', ['infer'], ['first', 'second'], [-10, 10]],
      )
      const a = tensor('a', 'FP32', [2, 3], Float32Array.of(1, 0, 9, 0, 1, 9))
      const b = tensor('b', 'INT32', [2, 2], Int32Array.of(1, -2, 3, 2_000_000_000 / 2))
      const both = await ask(runtime, 'pair', [b, a], ['doubled', 'shares']).answer
      assert.deepEqual(both[0], tensor('doubled', 'INT32', [2, 2], Int32Array.of(2, -4, 6, 2_000_000_000)))
      // e / (e + 1) = 0.731; what was 9 counts nothing.
      const shares = both[1]?.data
      assert.ok(shares instanceof Float32Array)
      assert.deepEqual(
        [...shares].map((share) => share.toFixed(3)),
        ['0.731', '0.269', '0.269', '0.731'],
      )
      const [one, ...none] = await ask(runtime, 'pair', [a, b], ['doubled']).answer
      assert.deepEqual([one?.name, none.length], ['doubled', 0])
      // The node still needs what was asked: it is fingerprinted after the answer.
      assert.equal(a.data.length, 6)
    })
  })

  test('requests of one batch may ask for different outputs', async () => {
    await using({}, async (runtime, registry) => {
      const inputs = (n: number) => [
        tensor('a', 'FP32', [1, 3], Float32Array.of(n, n, 0)),
        tensor('b', 'INT32', [1, 2], Int32Array.of(n, n)),
      ]
      const [first, second] = await Promise.all([
        ask(runtime, 'pair', inputs(1), ['shares']).answer,
        ask(runtime, 'pair', inputs(2), ['doubled', 'shares']).answer,
      ])
      assert.deepEqual(first, [tensor('shares', 'FP32', [1, 2], Float32Array.of(0.5, 0.5))])
      assert.deepEqual(second[0], tensor('doubled', 'INT32', [1, 2], Int32Array.of(4, 4)))
      const batches = await registry.getSingleMetricAsString('cordon_runtime_batch_items')
      assert.match(batches, /_count\{model="pair",version="1",pool="a"\} 1$/m)
    })
  })

  test('64-bit integers are computed with 32 bits, and what does not fit those is refused', async () => {
    await using({}, async (runtime) => {
      const n = (...values: bigint[]) => [tensor('n', 'INT64', [values.length, 1], BigInt64Array.from(values))]
      assert.deepEqual(await ask(runtime, 'wide', n(5n, -7n), ['m']).answer, [tensor('m', 'INT64', [2, 1], BigInt64Array.of(15n, -21n))])
      for (const value of [2n ** 31n, -(2n ** 31n) - 1n, 2n ** 62n]) {
        await assert.rejects(ask(runtime, 'wide', n(1n, value), ['m']).answer, { code: 'INPUT_INVALID' })
      }
    })
  })

  test('refuses tensors that are not what the model takes', async () => {
    await using({}, async (runtime) => {
      const a = tensor('a', 'FP32', [1, 3], new Float32Array(3))
      const b = tensor('b', 'INT32', [1, 2], new Int32Array(2))
      const cases: [string, readonly Tensor[], readonly string[]][] = [
        ['a missing input', [a], ['doubled']],
        ['another datatype', [a, tensor('b', 'INT64', [1, 2], new BigInt64Array(2))], ['doubled']],
        ['another shape', [tensor('a', 'FP32', [1, 1, 3], new Float32Array(3)), b], ['doubled']],
        ['inputs of different sizes', [a, tensor('b', 'INT32', [2, 2], new Int32Array(4))], ['doubled']],
        ['an output that it has not', [a, b], ['tripled']],
      ]
      for (const [what, inputs, outputs] of cases)
        await assert.rejects(ask(runtime, 'pair', inputs, outputs).answer, { code: 'INPUT_INVALID' }, what)
      assert.equal(runtime.depth('a'), 0)
    })
  })
}

function batching(using: Using): void {
  test('requests share a batch where their free dimensions agree', async () => {
    await using({}, async (runtime, registry) => {
      const asked = [row(1), row(1, 2), row(3), row(3, 4)].map((inputs) => ask(runtime, 'free', inputs, ['twice']).answer)
      const answers = (await Promise.all(asked)).map(([twice]) => [twice?.shape, twice?.data])
      assert.deepEqual(answers, [
        [[1, 1], Float64Array.of(2)],
        [[1, 2], Float64Array.of(2, 4)],
        [[1, 1], Float64Array.of(6)],
        [[1, 2], Float64Array.of(6, 8)],
      ])
      const batches = await registry.getSingleMetricAsString('cordon_runtime_batch_items')
      assert.match(batches, /_count\{model="free",version="1",pool="a"\} 2$/m)
    })
  })

  test('each model is batched by its own size and wait', async () => {
    // A minute's wait: only a batch of two that is full can start before the test ends.
    const patient = { batching: { maxItems: 2, maxWaitMicros: 1_000_000 * 60 } }
    const configurationOf = (model: string) => (model === 'free' ? patient : { batching: { maxItems: 32, maxWaitMicros: 0 } })
    await using({ configurationOf }, async (runtime) => {
      const early = ask(runtime, 'free', row(1), ['twice'])
      await ask(runtime, 'wide', [tensor('n', 'INT64', [1, 1], BigInt64Array.of(1n))], ['m']).answer
      assert.equal(runtime.depth('a'), 1)
      const late = ask(runtime, 'free', row(2), ['twice'])
      await Promise.all([early.answer, late.answer])
      const { inferenceCount, executionCount, batches, success, fail, queue, compute } = runtime.statistics('free', '1') ?? {}
      assert.deepEqual([inferenceCount, executionCount, success?.count, fail?.count, queue?.count, compute?.count], [2, 1, 2, 0, 2, 2])
      assert.deepEqual(
        batches?.map(({ size, compute }) => [size, compute.count]),
        [[2, 1]],
      )
      assert.equal(runtime.statistics('free', '3'), undefined)
    })
  })

  test('a batch starts when its microseconds are over', async () => {
    await using({ configurationOf: () => ({ batching: { maxItems: 32, maxWaitMicros: 30_000 } }) }, async (runtime) => {
      const [first, second] = await Promise.all([
        ask(runtime, 'free', row(1), ['twice']).answer,
        ask(runtime, 'free', row(2), ['twice']).answer,
      ])
      assert.deepEqual([first[0]?.data, second[0]?.data], [Float64Array.of(2), Float64Array.of(4)])
      const { executionCount, queue } = runtime.statistics('free', '1') ?? {}
      assert.equal(executionCount, 1)
      // Both waited for the 30 ms.
      assert.ok((queue?.ns ?? 0) >= 2 * 29e6, `${queue?.ns} ns`)
    })
  })
}

function memory(using: Using, modelsDir: () => string): void {
  const pools = [{ name: 'a', models: ['free'] }]
  // Of free, both versions have 4 bytes of weights.
  const maxModelBytes = 6

  test('the newest version is loaded at start; another when it is asked for, in place of what was used least lately', async () => {
    await using({ pools, maxModelBytes }, async (runtime, registry) => {
      const inMemory = () => ['1', '2'].filter((version) => (runtime.statistics('free', version)?.memoryBytes ?? 0) > 0)
      assert.deepEqual(inMemory(), ['2'])
      assert.equal(runtime.list().length, 2)
      // Several wait for the same load.
      assert.deepEqual(await Promise.all([double(runtime, '1', 1), double(runtime, '1', 2), double(runtime, '1', 3)]), [2, 4, 6])
      assert.deepEqual(inMemory(), ['1'])
      assert.equal(await valueOf(registry, 'cordon_runtime_loads_total', { version: '1', outcome: 'loaded' }), 1)
      const held = await valueOf(registry, 'cordon_runtime_tensors', { pool: 'a' })
      assert.equal(await double(runtime, '2'), 42)
      assert.equal(await double(runtime, '1'), 42)
      assert.deepEqual(inMemory(), ['1'])
      assert.equal(await valueOf(registry, 'cordon_runtime_evictions_total', {}), 3)
      assert.equal(await valueOf(registry, 'cordon_runtime_tensors', { pool: 'a' }), held)
      assert.equal(runtime.tensorBytes(), 4)
    })
  })

  test('versions that do not fit together take turns, and every request is answered', async () => {
    const configurationOf = () => ({ batching: { maxItems: 4, maxWaitMicros: 0 } })
    await using({ pools, maxModelBytes, configurationOf }, async (runtime) => {
      const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => double(runtime, i % 2 === 0 ? '1' : '2', i)))
      assert.deepEqual(
        answers,
        Array.from({ length: 40 }, (_, i) => 2 * i),
      )
    })
  })

  test('refuses to open for a model that alone is more than all may be, and says what to raise', async () => {
    const opening = using({ pools, maxModelBytes: 3 }, async () => {})
    await assert.rejects(opening, { code: 'MODEL_CORRUPT', message: /free\/1 takes 4 bytes.*inference\.maxModelBytes/ })
  })

  test('a model that cannot be loaded fails its requests, and is tried again after a while', async () => {
    const file = join(modelsDir(), 'free', '1', 'group1-shard1of1.bin')
    const weights = await readFile(file)
    const backoff = { firstMs: 500, mostMs: 500 }
    await using({ pools, maxModelBytes, backoff }, async (runtime, registry) => {
      const failures = () => valueOf(registry, 'cordon_runtime_loads_total', { outcome: 'failed' })
      await writeFile(file, weights.subarray(1))
      try {
        const both = await Promise.allSettled([double(runtime, '1'), double(runtime, '1')])
        for (const result of both) assert.equal(result.status === 'rejected' && result.reason.code, 'MODEL_CORRUPT')
        // Within the 500 ms it is not tried again.
        await assert.rejects(double(runtime, '1'), { code: 'MODEL_CORRUPT' })
        assert.equal(await failures(), 1)
        assert.equal(await double(runtime, '2'), 42)
      } finally {
        await writeFile(file, weights)
      }
      await until(async () => (await double(runtime, '1').catch(() => 0)) === 42)
      assert.equal(runtime.statistics('free', '1')?.success.count, 1)
    })
  })
}
