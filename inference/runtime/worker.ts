import { parentPort, workerData } from 'node:worker_threads'
import * as tf from '@tensorflow/tfjs-core'
import { InferenceError } from '../errors.ts'
import { type ModelContent, readVersion } from '../registry.ts'
import { type BackendChoice, openBackend } from './backend.ts'
import { loadNetwork, type Network } from './network.ts'
import { buffersOf, type Held, type Order, type Report } from './protocol.ts'
import { loseDevice } from './webgpu.ts'

// The thread of one pool: reads, builds and runs models, one thing at a time, in the order asked for. What waits is known on the
// other side alone.

const port = parentPort
if (port === null) throw new Error('worker.ts is started by the runtime, as a thread')
// tfjs-node uses functions of Node that are deprecated. Under --no-deprecation this cannot be set.
if (!process.noDeprecation) process.noDeprecation = true
const networks = new Map<string, Network>()
let turn = Promise.resolve()

port.on('message', (order: Order) => {
  if (order.type === 'lose') return lose()
  // Files are read while models run; building and running take their turn.
  if (order.type === 'load') void load(order)
  else turn = turn.then(() => perform(order))
})
await begin(workerData.backend)

async function begin(choice: BackendChoice): Promise<void> {
  try {
    tell({ type: 'opened', backend: await openBackend(choice) })
  } catch (error) {
    tell({ type: 'refused', message: error instanceof Error ? error.message : 'unknown' })
    port?.close()
  }
}

function tell(report: Report): void {
  port?.postMessage(report, report.type === 'ran' ? buffersOf(report.outputs) : [])
}

function held(): Held {
  const { numTensors, numBytes } = tf.memory()
  return { tensors: numTensors, bytes: numBytes }
}

async function load(order: Extract<Order, { type: 'load' }>): Promise<void> {
  const { id, info, modelsDir } = order
  try {
    const content = await readVersion(modelsDir, info.name, info.version, info.digest)
    turn = turn.then(() => build(order, content))
  } catch (error) {
    failed(id, error)
  }
}

async function build({ id, key, info, maxItems }: Extract<Order, { type: 'load' }>, content: ModelContent): Promise<void> {
  tell({ type: 'building', id })
  try {
    const network = await loadNetwork(info, content, maxItems)
    networks.set(key, network)
    tell({ type: 'loaded', id, bytes: network.bytes, held: held() })
  } catch (error) {
    failed(id, error)
  }
}

async function perform(order: Exclude<Order, { type: 'load' | 'lose' }>): Promise<void> {
  if (order.type === 'run') return run(order)
  if (order.type === 'dispose') {
    networks.get(order.key)?.dispose()
    networks.delete(order.key)
    tell({ type: 'disposed', id: order.id, held: held() })
    return
  }
  for (const network of networks.values()) network.dispose()
  port?.close()
}

/** Nothing waits for the device any more, so the thread comes to its end. */
function lose(): void {
  loseDevice(tf.backend())
  port?.close()
}

async function run({ id, key, inputs, outputs }: Extract<Order, { type: 'run' }>): Promise<void> {
  const network = networks.get(key)
  try {
    if (network === undefined) throw new InferenceError('INFERENCE_FAILED', `${key} is not loaded`)
    const startedAt = performance.now()
    const blocks = await network.run(inputs, outputs)
    tell({ type: 'ran', id, outputs: blocks, runMs: performance.now() - startedAt, held: held() })
  } catch (error) {
    failed(id, error)
  }
}

function failed(id: number, error: unknown): void {
  // An aborted WebAssembly module answers nothing any more: a new thread has to.
  if (error instanceof WebAssembly.RuntimeError) throw error
  const code = error instanceof InferenceError ? error.code : 'INFERENCE_FAILED'
  tell({ type: 'failed', id, code, message: error instanceof Error ? error.message.slice(0, 500) : 'unknown', held: held() })
}
