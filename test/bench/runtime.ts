import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { classify } from '../../inference/classify.ts'
import { loadMnist, pixels } from '../../inference/datasets/mnist.ts'
import type { TensorRuntime } from '../../inference/port.ts'
import { openRegistry } from '../../inference/registry.ts'
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
    const network = await loadNetwork(info, await models.read('digits', version))
    const [msBy1, msBy32] = [await latency(runtime, images, 1), await latency(runtime, images, 32)]
    let [itemsPerSecond, bareItemsPerSecond] = [0, 0]
    // The best of some rounds in turn: what else the machine does can only slow a round down.
    for (let round = 0; round < 4; round++) {
      itemsPerSecond = Math.max(itemsPerSecond, await throughput(runtime, images))
      bareItemsPerSecond = Math.max(bareItemsPerSecond, bare(network, images))
    }
    network.dispose()
    return { backend: runtime.backend, msBy1, msBy32, itemsPerSecond, bareItemsPerSecond, ratio: itemsPerSecond / bareItemsPerSecond }
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

async function throughput(runtime: TensorRuntime, images: Float32Array): Promise<number> {
  const started = performance.now()
  const until = started + roundMs
  let done = 0
  const client = async (index: number) => {
    for (let i = index; performance.now() < until; i = (i + clients) % 1_000) {
      await classify(runtime, question, images.subarray(i * pixels, (i + 1) * pixels), 1)
      done++
    }
  }
  await Promise.all(Array.from({ length: clients }, (_, index) => client(index)))
  return (done / (performance.now() - started)) * 1_000
}

function bare(network: Network, images: Float32Array): number {
  const started = performance.now()
  let done = 0
  for (; performance.now() < started + roundMs; done++) {
    const i = done % 1_000
    network.run(images.subarray(i * pixels, (i + 1) * pixels), 1)
  }
  return (done / (performance.now() - started)) * 1_000
}
