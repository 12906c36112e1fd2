import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { classify } from '../../inference/classify.ts'
import { loadMnist, pixels } from '../../inference/datasets/mnist.ts'
import type { TensorRuntime } from '../../inference/port.ts'
import { openRegistry } from '../../inference/registry.ts'
import { openBackend } from '../../inference/runtime/backend.ts'
import { loadNetwork, type Network } from '../../inference/runtime/network.ts'
import { openRuntime } from '../../inference/runtime/open.ts'

export interface RuntimeBench {
  readonly backend: string
  /** Median milliseconds of one request of 1 and of 32 items, through the runtime. */
  readonly msBy1: number
  readonly msBy32: number
  /** Items a second with 64 clients that each send one item at a time: batches form by themselves. */
  readonly itemsPerSecond: number
  /** Items a second of a plain loop that predicts one item at a time, without a runtime. */
  readonly bareItemsPerSecond: number
  /** How many times faster the runtime is than the loop. */
  readonly ratio: number
  /** The same with requests of 32 items, two at a time, against a plain loop over batches of 32. Aim: 0.9. */
  readonly ratioBy32: number
}

const modelsDir = fileURLToPath(new URL('../../inference/models/', import.meta.url))
const clients = 64
const roundMs = 400
const version = '2'
const question = { model: 'digits', version, pool: 'a' }

/** Measures the model runtime on the backend that `auto` chooses; takes some four seconds. */
export async function benchRuntime(): Promise<RuntimeBench> {
  const images = loadMnist('test').images.subarray(0, 1_000 * pixels)
  const pools = [{ name: 'a', models: ['digits'] }]
  const runtime = await openRuntime({ modelsDir, pools, maxQueueItems: 256, registry: new Registry(), log: pino({ level: 'silent' }) })
  try {
    const models = await openRegistry(modelsDir)
    const info = models.info('digits', version)
    if (!info) throw new Error(`There is no version ${version} to measure`)
    await openBackend(runtime.backend === 'wasm' ? 'wasm' : 'auto')
    const network = await loadNetwork(info, await models.read('digits', version), 32)
    const [msBy1, msBy32] = [await latency(runtime, images, 1), await latency(runtime, images, 32)]
    let [itemsPerSecond, bareItemsPerSecond] = [0, 0]
    const by32 = { runtime: 0, bare: 0 }
    // The best of some rounds in turn: what else the machine does can only slow a round down.
    for (let round = 0; round < 4; round++) {
      itemsPerSecond = Math.max(itemsPerSecond, await throughput(runtime, images, 1, clients))
      bareItemsPerSecond = Math.max(bareItemsPerSecond, await bare(network, images, 1))
      by32.runtime = Math.max(by32.runtime, await throughput(runtime, images, 32, 2))
      by32.bare = Math.max(by32.bare, await bare(network, images, 32))
    }
    network.dispose()
    const ratios = { ratio: itemsPerSecond / bareItemsPerSecond, ratioBy32: by32.runtime / by32.bare }
    return { backend: runtime.backend, msBy1, msBy32, itemsPerSecond, bareItemsPerSecond, ...ratios }
  } finally {
    await runtime.close()
  }
}

async function latency(runtime: TensorRuntime, images: Float32Array, items: number): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < 300; i++) {
    const from = ((i * items) % (1_000 - items)) * pixels
    const started = performance.now()
    await classify(runtime, question, images.subarray(from, from + items * pixels), items)
    // The first third warms the compiler up.
    if (i >= 100) times.push(performance.now() - started)
  }
  return times.sort((a, b) => a - b)[times.length >> 1] ?? Number.NaN
}

/** Items a second of so many clients that each send `items` at a time. */
async function throughput(runtime: TensorRuntime, images: Float32Array, items: number, asking: number): Promise<number> {
  const started = performance.now()
  const until = started + roundMs
  let done = 0
  const client = async (index: number) => {
    for (let i = index; performance.now() < until; i += asking) {
      await classify(runtime, question, batchOf(images, i, items), items)
      done += items
    }
  }
  await Promise.all(Array.from({ length: asking }, (_, index) => client(index)))
  return (done / (performance.now() - started)) * 1_000
}

async function bare(network: Network, images: Float32Array, items: number): Promise<number> {
  const started = performance.now()
  let done = 0
  for (let i = 0; performance.now() < started + roundMs; i++) {
    await network.run([{ data: batchOf(images, i, items), shape: [items, 28, 28, 1] }], [0])
    done += items
  }
  return (done / (performance.now() - started)) * 1_000
}

function batchOf(images: Float32Array, index: number, items: number): Float32Array {
  const from = ((index * items) % (1_000 - items)) * pixels
  return images.subarray(from, from + items * pixels)
}
