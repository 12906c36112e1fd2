import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { RequestCancellation } from '../../inference/cancellation.ts'
import type { Tensor, TensorRuntime } from '../../inference/port.ts'
import { openRuntime } from '../../inference/runtime/open.ts'
import { entry, writeVersion } from '../contracts/models.ts'
import { savedModel } from './saved-model.ts'

// A SavedModel that triples FP32 rows of two and joins strings to themselves: `x` → `y`, `s` → `t`.
let modelsDir: string
before(async () => {
  modelsDir = await mkdtemp(join(tmpdir(), 'cordon-saved-'))
  const file = { path: 'saved_model.pb', bytes: savedModel() }
  // Of no use to the graph: shows that a SavedModel's folder is laid out as it was.
  const asset = { path: 'assets/vocabulary.txt', bytes: Buffer.from('a b c') }
  const manifest = {
    platform: 'tensorflow-savedmodel',
    inputs: [
      { name: 'x', datatype: 'FP32', shape: [-1, 2] },
      { name: 's', datatype: 'BYTES', shape: [-1, 1] },
    ],
    outputs: [
      { name: 'y', datatype: 'FP32', shape: [-1, 2] },
      { name: 't', datatype: 'BYTES', shape: [-1, 1] },
    ],
    files: { saved: [entry(file), entry(asset)] },
  }
  await writeVersion(modelsDir, 'saved', '1', manifest, [file, asset])
})
after(() => rm(modelsDir, { recursive: true }))

const open = (backend: 'tensorflow' | 'wasm') => {
  const pools = [{ name: 'a', models: ['saved'] }]
  return openRuntime({ modelsDir, pools, backend, maxQueueItems: 64, registry: new Registry(), log: pino({ level: 'silent' }) })
}

async function ask(runtime: TensorRuntime, rows: number, from: number): Promise<readonly Tensor[]> {
  const x = Float32Array.from({ length: 2 * rows }, (_, i) => from + i)
  const s = Array.from({ length: rows }, (_, i) => Buffer.from(`ü${from + i}`))
  const inputs: Tensor[] = [
    { name: 'x', datatype: 'FP32', shape: [rows, 2], data: x },
    { name: 's', datatype: 'BYTES', shape: [rows, 1], data: s },
  ]
  const raw = { body: new Uint8Array(0), jsonBytes: null }
  const rest = { items: rows, outputs: ['y', 't'], raw, headers: {}, cancellation: new RequestCancellation(performance.now() + 60_000) }
  return (await runtime.infer({ model: 'saved', version: '1', pool: 'a', inputs, ...rest })).tensors()
}

test('a SavedModel is served on the native backend, strings too, and requests are batched', async () => {
  const runtime = await open('tensorflow')
  try {
    assert.equal(runtime.info('saved', '1')?.platform, 'tensorflow-savedmodel')
    const [[y, t], [z, u]] = await Promise.all([ask(runtime, 1, 1), ask(runtime, 2, 5)])
    assert.deepEqual([y?.data, z?.data], [Float32Array.of(3, 6), Float32Array.of(15, 18, 21, 24)])
    const strings = [t, u].map((tensor) => (Array.isArray(tensor?.data) ? tensor.data.map((bytes) => Buffer.from(bytes).toString()) : []))
    assert.deepEqual(strings, [['ü1ü1'], ['ü5ü5', 'ü6ü6']])
    assert.equal(runtime.statistics('saved', '1')?.executionCount, 1)
    assert.ok((runtime.statistics('saved', '1')?.memoryBytes ?? 0) > 0)
  } finally {
    await runtime.close()
  }
})

test('a SavedModel is refused on another backend, with what to do', async () => {
  await assert.rejects(open('wasm'), { code: 'BACKEND_UNAVAILABLE', message: /setup:tensorflow.*tfjs-graph/ })
})

test('a SavedModel with a changed byte is not loaded', async () => {
  const file = join(modelsDir, 'saved', '1', 'saved_model.pb')
  const bytes = await readFile(file)
  await writeFile(file, Buffer.concat([bytes.subarray(0, -1), Buffer.of((bytes.at(-1) ?? 0) ^ 1)]))
  await assert.rejects(open('tensorflow'), { code: 'MODEL_CORRUPT' })
  await writeFile(file, bytes)
})
