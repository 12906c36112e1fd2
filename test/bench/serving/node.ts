import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { createEmbeddedBus } from '../../../bus/embedded/bus.ts'
import type { EventBus, OutgoingRecord, Position } from '../../../bus/port.ts'
import { openView } from '../../../bus/view.ts'
import { configurations } from '../../../inference/configuration.ts'
import { type Emitter, openEmitter } from '../../../inference/emitter/emitter.ts'
import { openFingerprinter } from '../../../inference/fingerprint/fingerprint.ts'
import { createNode } from '../../../inference/server/node.ts'
import type { NodeOptions } from '../../../inference/server/options.ts'
import { passThrough } from '../../../inference/server/tracing.ts'
import { topics } from '../../../schemas/index.ts'
import { MemoryBus } from '../../inference/memory-bus.ts'
import { noText } from '../../inference/node-fixture.ts'
import { openTestKeys } from '../../inference/test-keys.ts'
import { chatModel } from './answers.ts'
import { argumentOf, obey } from './child.ts'
import { openTensors, openText } from './upstream-runtime.ts'
import { usageOrders } from './usage.ts'

/** What is left out of a node, to see what it costs. */
export interface Variant {
  readonly name: string
  readonly without: readonly ('keys' | 'fingerprints' | 'events' | 'tracing')[]
  /** `null`: a bus that takes everything and keeps nothing, as if it were elsewhere; `embedded`: LMDB in this process. */
  readonly bus: 'null' | 'embedded'
}

export interface NodeArgument {
  /** Port of the upstream; null serves the digits here, on tfjs. */
  readonly upstream: number | null
  readonly variants: readonly Variant[]
}

export interface NodeReady {
  readonly ports: Readonly<Record<string, number>>
  readonly authorization: Readonly<Record<string, string>>
}

const modelsDir = fileURLToPath(new URL('../../../inference/models/', import.meta.url))
const log = pino({ level: 'silent' })
const version = '2'
const control: ReadonlySet<string> = new Set([topics.keys.name, topics.containments.name, topics.models.name])

/** Keeps the control topics, and drops every event. */
class NullBus extends MemoryBus {
  override async publish(records: readonly OutgoingRecord[]): Promise<readonly Position[]> {
    if (records.some(({ topic }) => control.has(topic))) return super.publish(records)
    return records.map(({ topic }) => ({ topic, partition: 0, offset: 0 }))
  }
}

const nullEmitter: Emitter = {
  emit: () => {},
  flush: () => {},
  state: () => ({ spoolBytes: 0, emitted: 0, dropped: 0, oldestMs: null, bus: 'ok', since: 0 }),
  drain: async () => true,
  close: async () => {},
}

async function openParts(upstream: number | null) {
  if (upstream === null) {
    // Only then: what is before an upstream loads no TensorFlow.
    const { openRuntime } = await import('../../../inference/runtime/open.ts')
    const pools = [{ name: 'a', models: ['digits'], concurrency: 4_096 }]
    return { pools, runtime: await openRuntime({ modelsDir, pools, maxQueueItems: 4_096, registry: new Registry(), log }), text: noText }
  }
  const pools = [
    { name: 'a', models: ['digits'], concurrency: 4_096 },
    { name: 'b', models: [chatModel], concurrency: 4_096 },
  ]
  return { pools, runtime: openTensors(upstream), text: openText(upstream) }
}

async function openBus(kind: Variant['bus'], dir: string): Promise<EventBus> {
  if (kind === 'null') return new NullBus()
  const bus = await createEmbeddedBus({ path: join(dir, 'bus') })
  await bus.ensureTopics(Object.values(topics))
  return bus
}

async function openVariant({ name, without, bus: kind }: Variant, parts: Pick<NodeOptions, 'pools' | 'runtime' | 'text'>, dir: string) {
  const bus = await openBus(kind, join(dir, name))
  const registry = new Registry()
  const emitter = without.includes('events')
    ? nullEmitter
    : await openEmitter({ bus, dir: join(dir, name, 'spool'), clock: Date.now, log, registry })
  const keys = await openTestKeys(bus, Date.now)
  const { key } = await keys.create({ principal: 'bench' })
  const anyone = { ok: true, principal: 'bench', organization: null, keyId: 'bench' } as const
  const profile = readFileSync(join(modelsDir, 'digits', version, 'profile.bin'))
  const fingerprinter = without.includes('fingerprints') ? undefined : openFingerprinter({ profile, key: new Uint8Array(32), epoch: 0 })
  const node = await createNode({
    ...parts,
    name: 'bench',
    configurationOf: configurations({}),
    tracing: passThrough,
    fingerprinterOf: (model) => (model === 'digits' ? fingerprinter : undefined),
    keys: without.includes('keys') ? { verify: () => anyone } : keys.registry,
    containments: await openView(bus, 'containments'),
    models: await openView(bus, 'models'),
    emitter,
    clock: Date.now,
    registry,
    log,
    control: { boundMs: 15_000, lost: 'last-known' },
    addressKey: new Uint8Array(32),
    prices: { perItem: 0.0001 },
  })
  const { port } = await node.start({ host: '127.0.0.1', port: 0 })
  return { name, port, key, close: () => node.close() }
}

const { upstream, variants } = argumentOf<NodeArgument>()
const dir = mkdtempSync(join(tmpdir(), 'cordon-bench-node-'))
const parts = await openParts(upstream)
const nodes = await Promise.all(variants.map((variant) => openVariant(variant, parts, dir)))
const ready: NodeReady = {
  ports: Object.fromEntries(nodes.map(({ name, port }) => [name, port])),
  authorization: Object.fromEntries(nodes.map(({ name, key }) => [name, `Bearer ${key}`])),
}
obey(ready, { ...usageOrders(), tensors: () => parts.runtime.tensorBytes() }, async () => {
  await Promise.all(nodes.map(({ close }) => close()))
  rmSync(dir, { recursive: true, force: true })
})
