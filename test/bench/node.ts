import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { MessageChannel, Worker } from 'node:worker_threads'
import Fastify from 'fastify'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { newEvent } from '../../bus/codec.ts'
import { createEmbeddedBus } from '../../bus/embedded/bus.ts'
import { openView } from '../../bus/view.ts'
import { classify } from '../../inference/classify.ts'
import { configurations } from '../../inference/configuration.ts'
import { loadMnist, pixels } from '../../inference/datasets/mnist.ts'
import { type Emitter, openEmitter } from '../../inference/emitter/emitter.ts'
import { openFingerprinter } from '../../inference/fingerprint/fingerprint.ts'
import type { TensorRuntime } from '../../inference/port.ts'
import { openRuntime } from '../../inference/runtime/open.ts'
import { createNode } from '../../inference/server/node.ts'
import { passThrough } from '../../inference/server/tracing.ts'
import { topics } from '../../schemas/index.ts'
import { noText } from '../inference/node-fixture.ts'
import { callersByKey, openTestKeys } from '../inference/test-keys.ts'
import type { LoadRequest, LoadResult } from './node-load.ts'

export interface NodeBenchOptions {
  /** Clients that ask at the same time. Default 16. */
  readonly clients?: number
  /** Length of one round; there are `rounds` of each side, in turn. Default 1,500 ms and 4. */
  readonly roundMs?: number
  readonly rounds?: number
}

export interface Round extends LoadResult {
  /** CPU time of the whole process, its clients included, by request. */
  readonly cpuMicros: number
}

export interface NodeBench {
  readonly backend: string
  readonly clients: number
  /** With keys, enforcement, fingerprints, events and the embedded bus in the same process; the best round. */
  readonly on: Round
  /** Bare Fastify, the same JSON, the same model. */
  readonly off: Round
  /** Requests a second on / off. */
  readonly ratio: number
  /** CPU time that Cordon's work and the bus take, by request; it does not depend on how busy the machine is. */
  readonly addedCpuMicros: number
  readonly addedP50Ms: number
  readonly addedP99Ms: number
  /** One client that asks alone: what Cordon's work adds to an answer without any waiting. */
  readonly alone: { readonly onP50Ms: number; readonly offP50Ms: number; readonly addedP50Ms: number }
  /** Microseconds of one `emit` of a request and a fingerprint event with their flush. */
  readonly emitMicros: number
}

const modelsDir = fileURLToPath(new URL('../../inference/models/', import.meta.url))
const pools = [{ name: 'a', models: ['digits'], concurrency: 1_024 }]
const version = '2'

/** Measures a node and the same node without Cordon's work, in one run; some 15 seconds. The load runs in another thread. */
export async function benchNode({ clients = 16, roundMs = 1_500, rounds = 4 }: NodeBenchOptions = {}): Promise<NodeBench> {
  const registry = new Registry()
  const log = pino({ level: 'silent' })
  const runtime = await openRuntime({ modelsDir, pools, maxQueueItems: 1_024, registry, log })
  const bare = await openBare(runtime)
  const cordon = await openCordon(runtime, registry)
  try {
    const bodies = bodiesOf(200)
    const ask = (origin: string, ms: number, by = clients) => load({ origin, headers: cordon.headers, bodies, clients: by, ms })
    for (const origin of [bare.url, cordon.url]) await ask(origin, roundMs / 2)
    const sides: { on: Round[]; off: Round[] } = { on: [], off: [] }
    const alone: { on: Round[]; off: Round[] } = { on: [], off: [] }
    for (let round = 0; round < rounds; round++) {
      sides.off.push(await ask(bare.url, roundMs))
      sides.on.push(await ask(cordon.url, roundMs))
      alone.off.push(await ask(bare.url, roundMs / 4, 1))
      alone.on.push(await ask(cordon.url, roundMs / 4, 1))
    }
    const [on, off] = [bestOf(sides.on), bestOf(sides.off)]
    const [onP50Ms, offP50Ms] = [bestOf(alone.on).p50Ms, bestOf(alone.off).p50Ms]
    return {
      ...{ backend: runtime.backend, clients, on, off, ratio: on.perSecond / off.perSecond },
      ...{ addedCpuMicros: on.cpuMicros - off.cpuMicros, addedP50Ms: on.p50Ms - off.p50Ms, addedP99Ms: on.p99Ms - off.p99Ms },
      alone: { onP50Ms, offP50Ms, addedP50Ms: onP50Ms - offP50Ms },
      emitMicros: cordon.emitMicros(),
    }
  } finally {
    await bare.close()
    await cordon.close()
    await runtime.close()
  }
}

async function openBare(runtime: TensorRuntime): Promise<{ url: string; close: () => Promise<void> }> {
  const app = Fastify({ logger: false, bodyLimit: 4_194_304 })
  app.post<{ Body: { inputs: [{ shape: number[]; data: number[] }] } }>('/v2/models/digits/infer', async (request, reply) => {
    const [{ shape, data }] = request.body.inputs
    const items = shape[0] ?? 1
    const output = await classify(runtime, { model: 'digits', version, pool: 'a' }, Float32Array.from(data), items)
    const outputs = [{ name: 'probabilities', datatype: 'FP32', shape: [items, 10], data: Array.from(output) }]
    return reply.type('application/json').send(JSON.stringify({ model_name: 'digits', model_version: version, id: '', outputs }))
  })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  return { url, close: () => app.close() }
}

async function openCordon(runtime: TensorRuntime, registry: Registry) {
  const dir = mkdtempSync(join(tmpdir(), 'cordon-bench-'))
  const log = pino({ level: 'silent' })
  const bus = await createEmbeddedBus({ path: join(dir, 'bus') })
  await bus.ensureTopics(Object.values(topics))
  const emitter = await openEmitter({ bus, dir: join(dir, 'spool'), clock: Date.now, log, registry })
  const keys = await openTestKeys(bus, Date.now)
  const containments = await openView(bus, 'containments')
  const models = await openView(bus, 'models')
  const profile = readFileSync(join(modelsDir, 'digits', version, 'profile.bin'))
  const fingerprinter = openFingerprinter({ profile, key: new Uint8Array(32), epoch: 0 })
  const control = { boundMs: 15_000, lost: 'last-known' } as const
  const rest = { clock: Date.now, registry, log, control, addressKey: new Uint8Array(32), prices: { perItem: 0.0001 } }
  const node = await createNode({
    ...{
      name: 'bench',
      pools,
      runtime,
      text: noText,
      fingerprinterOf: () => fingerprinter,
      keys: keys.registry,
      authenticator: callersByKey(keys.registry, registry),
      containments,
      models,
      emitter,
    },
    ...rest,
    configurationOf: configurations({}),
    tracing: passThrough,
  })
  const { key } = await keys.create({ principal: 'bench' })
  const { url } = await node.start({ host: '127.0.0.1', port: 0 })
  return {
    url,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    emitMicros: () => measureEmit(emitter),
    close: async () => {
      await node.close()
      await emitter.drain(10_000)
      await emitter.close()
      await keys.close()
      await Promise.all([containments.close(), models.close()])
      await bus.close()
      rmSync(dir, { recursive: true })
    },
  }
}

/** Two events of some 600 bytes, as a request and its fingerprint are, and the write that ends them. */
function measureEmit(emitter: Emitter): number {
  const times: number[] = []
  for (let i = 0; i < 2_000; i++) {
    const data = { lease: 'x'.repeat(300), revision: i, node: 'y'.repeat(100), at: 0, enforcedAfterMs: null }
    const started = performance.now()
    emitter.emit('acknowledgements', newEvent('acknowledgement', data, 'bench', 0))
    emitter.emit('acknowledgements', newEvent('acknowledgement', data, 'bench', 0))
    emitter.flush()
    times.push(performance.now() - started)
  }
  return (times.sort((a, b) => a - b)[1_000] ?? 0) * 1_000
}

function bodiesOf(count: number): string[] {
  const { images } = loadMnist('test')
  return Array.from({ length: count }, (_, item) => {
    const data = Array.from(images.subarray(item * pixels, (item + 1) * pixels), (value) => Math.round(value * 10_000) / 10_000)
    return JSON.stringify({ inputs: [{ name: 'image', shape: [1, 28, 28, 1], datatype: 'FP32', data }] })
  })
}

async function load(request: LoadRequest): Promise<Round> {
  const before = process.cpuUsage()
  const { port1, port2 } = new MessageChannel()
  const worker = new Worker(new URL('node-load.ts', import.meta.url), { workerData: { request, answer: port2 }, transferList: [port2] })
  // A worker that throws would leave the wait for its answer for ever.
  const [result] = (await Promise.race([once(port1, 'message'), once(worker, 'exit').then(() => [])])) as [LoadResult | undefined]
  port1.close()
  if (result === undefined) throw new Error('the load stopped without a result')
  const { user, system } = process.cpuUsage(before)
  return { ...result, cpuMicros: (user + system) / result.requests }
}

/** What else the machine does can only slow a round down. */
function bestOf(results: readonly Round[]): Round {
  const [best] = results.toSorted((a, b) => b.perSecond - a.perSecond)
  if (best === undefined) throw new Error('no rounds were measured')
  return best
}
