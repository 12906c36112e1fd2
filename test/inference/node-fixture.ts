import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { decode, encode, newEvent } from '../../bus/codec.ts'
import { openView } from '../../bus/view.ts'
import { configurations } from '../../inference/configuration.ts'
import { type Emitter, openEmitter } from '../../inference/emitter/emitter.ts'
import type { Fingerprint, Fingerprinter, InferCall, Inference, ModelInfo, TensorRuntime, TextRuntime } from '../../inference/port.ts'
import { summarise } from '../../inference/port.ts'
import { createNode, type InferenceNode } from '../../inference/server/node.ts'
import type { NodeOptions } from '../../inference/server/options.ts'
import { passThrough } from '../../inference/server/tracing.ts'
import { type Containment, leaseId, type Model, type TopicData, type TopicName } from '../../schemas/index.ts'
import { MemoryBus } from './memory-bus.ts'
import { callersByKey, openTestKeys, type TestKeys } from './test-keys.ts'

export const silent = pino({ level: 'silent' })
export const start = 1_800_000_000_000

/** A model of two by two inputs and three classes: the first class has as much probability as the first pixel. */
export function tinyModel(version: string): ModelInfo {
  return {
    name: 'tiny',
    version,
    platform: 'test',
    operations: ['infer'],
    inputs: [{ name: 'image', datatype: 'FP32', shape: [-1, 2, 2, 1], range: [0, 1] }],
    outputs: [{ name: 'probabilities', datatype: 'FP32', shape: [-1, 3] }],
    labels: ['a', 'b', 'c'],
    digest: `sha256:${version}`,
  }
}

/** Answers at once, or when it is let. */
export class TinyRuntime implements TensorRuntime {
  readonly backend = 'test'
  readonly models = [tinyModel('1'), tinyModel('2')]
  readonly ran: { version: string; pool: string }[] = []
  failure: Error | undefined
  factor = 1
  /** While set, requests wait for it. */
  gate: Promise<void> | undefined
  readonly depths = new Map<string, number>()

  list(): readonly ModelInfo[] {
    return this.models
  }

  info(model: string, version: string): ModelInfo | undefined {
    return this.models.find((info) => info.name === model && info.version === version)
  }

  async infer({ version, pool, inputs, items }: InferCall): Promise<Inference> {
    const input = inputs[0]?.data as Float32Array
    if (this.failure !== undefined) throw this.failure
    this.ran.push({ version, pool })
    this.depths.set(pool, this.depth(pool) + 1)
    await this.gate
    this.depths.set(pool, this.depth(pool) - 1)
    const output = new Float32Array(items * 3)
    for (let item = 0; item < items; item++) {
      const p = (input[item * 4] ?? 0) * this.factor
      output.set([p, (1 - p) * 0.75, (1 - p) * 0.25], item * 3)
    }
    const tensor = { name: 'probabilities', datatype: 'FP32', shape: [items, 3], data: output } as const
    return { tensors: () => [tensor], raw: null, endpoint: null, queueMs: 0 }
  }

  ready(): boolean {
    return true
  }

  statistics() {
    return undefined
  }

  depth(pool: string): number {
    return this.depths.get(pool) ?? 0
  }

  tensorBytes(): number {
    return 0
  }

  async close(): Promise<void> {}
}

/** A node without language models. */
export const noText: TextRuntime = {
  list: () => [],
  info: () => undefined,
  depth: () => 0,
  ready: () => false,
  generate: () => Promise.reject(new Error('there is no language model')),
  close: async () => {},
}

export function tinyFingerprint(input: Float32Array, output: Float32Array): Fingerprint {
  return {
    profile: 'test',
    epoch: 0,
    exact: Buffer.from(input.buffer, input.byteOffset, 8).toString('hex'),
    sketch: 'AAAA',
    scale: 1,
    bands: 'AAAA',
    residual: 0,
    residualTail: 1,
    confidenceTail: 1,
    classTail: 1,
    referenceDistance: 0,
    output: summarise(output),
  }
}

/** A fingerprinter that does all of its work when the answer is there. */
export function fingerprinterBy(fingerprint: Fingerprinter['fingerprint']): Fingerprinter {
  return { fingerprint, begin: (input) => (output) => fingerprint(input, output) }
}

export interface Fixture {
  readonly node: InferenceNode
  readonly bus: MemoryBus
  readonly runtime: TinyRuntime
  readonly keys: TestKeys
  readonly emitter: Emitter
  readonly registry: Registry
  readonly clock: { now: number }
  /** Puts a lease on the log and waits until the node's view has it. */
  contain(target: string, action: string, parameters?: Containment['parameters'], change?: Partial<Containment>): Promise<Containment>
  setModel(model: Model): Promise<void>
  /** What is on a topic, once everything emitted so far is there. */
  eventsOf<T extends TopicName>(topic: T): Promise<TopicData<T>[]>
  close(): Promise<void>
}

export interface Place {
  readonly dir?: string
  readonly bus?: MemoryBus
}

export async function openFixture(options: Partial<NodeOptions> = {}, place: Place = {}): Promise<Fixture> {
  const dir = place.dir ?? mkdtempSync(join(tmpdir(), 'cordon-node-'))
  const bus = place.bus ?? new MemoryBus()
  const clock = { now: start }
  const read = () => clock.now
  const registry = new Registry()
  const runtime = new TinyRuntime()
  const emitter = await openEmitter({ bus, dir, clock: read, log: silent, registry })
  const keys = await openTestKeys(bus, read)
  const containments = await openView(bus, 'containments')
  const models = await openView(bus, 'models')
  const node = await createNode({
    name: 'node-1',
    pools: [
      { name: 'a', models: ['tiny'], concurrency: 128 },
      { name: 'b', models: ['tiny'], concurrency: 128 },
    ],
    runtime,
    text: noText,
    configurationOf: configurations({}),
    tracing: passThrough,
    fingerprinterOf: () => fingerprinterBy(tinyFingerprint),
    keys: keys.registry,
    authenticator: callersByKey(keys.registry, registry),
    containments,
    models,
    emitter,
    clock: read,
    registry,
    log: silent,
    control: { boundMs: 15_000, lost: 'last-known' },
    addressKey: new Uint8Array(32),
    prices: { perItem: 0.5 },
    ...options,
  })
  const publish = async (topic: 'containments' | 'models', data: Containment | Model, seen: () => boolean) => {
    const event =
      topic === 'models'
        ? newEvent('model', data as Model, 'test', clock.now)
        : newEvent('containment', data as Containment, 'test', clock.now)
    await bus.publish([encode(topic, event as never)])
    while (!seen()) await new Promise((resolve) => setImmediate(resolve))
  }
  return {
    node,
    bus,
    runtime,
    keys,
    emitter,
    registry,
    clock,
    contain: async (target, action, parameters = {}, change = {}) => {
      const id = leaseId(target, action)
      const revision = (containments.get(id)?.revision ?? -1) + 1
      const about = { id, target, action, parameters, reason: 'test', owner: 'person:test', incident: null }
      const times = { from: clock.now, until: clock.now + 60_000, endedAt: null, endedBy: null, decidedAt: clock.now - 20 }
      const lease: Containment = { ...about, ...times, state: 'active', revision, ...change }
      await publish('containments', lease, () => containments.get(id)?.revision === revision)
      return lease
    },
    setModel: (model) => publish('models', model, () => JSON.stringify(models.get(model.name)) === JSON.stringify(model)),
    eventsOf: async (topic) => {
      await emitter.drain()
      return bus.of(topic).map((record) => decode(record).data as never)
    },
    close: async () => {
      await node.close()
      await emitter.close()
      await keys.close()
      await containments.close()
      await models.close()
      rmSync(dir, { recursive: true })
    },
  }
}

/** The body of an inference request of so many items, all with this first pixel. */
export function inferBody(items = 1, pixel = 0.5): object {
  return {
    inputs: [
      { name: 'image', shape: [items, 2, 2, 1], datatype: 'FP32', data: Array.from({ length: items }, () => [pixel, 0, 0, 0]).flat() },
    ],
  }
}
