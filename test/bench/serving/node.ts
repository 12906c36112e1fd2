import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import type { Authentication, Authenticator } from '../../../access/identity.ts'
import { createEmbeddedBus } from '../../../bus/embedded/bus.ts'
import type { EventBus, OutgoingRecord, Position } from '../../../bus/port.ts'
import { openView } from '../../../bus/view.ts'
import { configurations } from '../../../inference/configuration.ts'
import { type Emitter, openEmitter } from '../../../inference/emitter/emitter.ts'
import { openFingerprinter } from '../../../inference/fingerprint/fingerprint.ts'
import { createNode } from '../../../inference/server/node.ts'
import { passThrough } from '../../../inference/server/tracing.ts'
import { openTracing } from '../../../inference/telemetry/tracing.ts'
import { topics } from '../../../schemas/index.ts'
import { MemoryBus } from '../../inference/memory-bus.ts'
import { callersByKey, openTestKeys } from '../../inference/test-keys.ts'
import { argumentOf, obey } from './child.ts'
import type { Secure } from './connection.ts'
import { type Feature, openDoors } from './features.ts'
import { modelsDir, openRuntimes, type Served } from './runtimes.ts'
import { usageOrders } from './usage.ts'

/** A node, and what is left out of it to see what that costs. */
export interface Variant {
  readonly name: string
  readonly without?: readonly ('keys' | 'fingerprints' | 'events')[]
  /** `null`: a bus that takes everything and keeps nothing, as if it were elsewhere; `embedded`: LMDB in this process. */
  readonly bus: 'null' | 'embedded'
  /** Every trace is sent, to the upstream, which takes it. Default false. */
  readonly tracing?: boolean
  /** What is on beyond keys; left out, nothing. */
  readonly features?: readonly Feature[]
}

export interface NodeArgument {
  /** Port of what serves digits and chats; null for none. */
  readonly upstream: number | null
  /** Whether every model of the repository is served here too. */
  readonly local: boolean
  readonly variants: readonly Variant[]
  /** Where all of them listen, beside other processes; 0 picks a port for them to share. Left out, each has one of its own. */
  readonly sharedPort?: number
}

export interface NodeReady {
  readonly ports: Readonly<Record<string, number>>
  /** Left out where clients have a certificate instead. */
  readonly authorization: Readonly<Record<string, string | undefined>>
  readonly secure: Readonly<Record<string, Secure | undefined>>
  readonly languages: readonly string[]
}

/** Of all variants together. */
export interface NodeState {
  readonly tensorBytes: number
  readonly spoolBytes: number
  readonly dropped: number
  /** Heap and buffers of the main thread that a full collection leaves; 0 where the process may not ask for one. */
  readonly liveBytes: number
  /** Since the last time it was asked for, milliseconds. */
  readonly loopP99Ms: number
}

const log = pino({ level: 'silent' })
const version = '2'
const control: ReadonlySet<string> = new Set(
  [topics.keys, topics.containments, topics.models, topics.shares, topics.spending].map(({ name }) => name),
)

/** Keeps the control topics, and drops every event. */
class NullBus extends MemoryBus {
  override async publish(records: readonly OutgoingRecord[]): Promise<readonly Position[]> {
    if (records.some(({ topic }) => control.has(topic))) return super.publish(records)
    return records.map(({ topic }) => ({ topic, partition: 0, offset: 0 }))
  }
}

/** Whoever comes is the bench, and nothing that they bring is looked at. */
const anybody: Authenticator = {
  authenticate: () => known,
  isGood: () => true,
}
const known: Authentication = {
  ok: true,
  identity: {
    ...{ principal: 'bench', organization: null, method: 'key', keyId: 'bench', roles: [], capabilities: ['inference'] },
    ...{ createdAt: 0, expiresAt: null, secondFactorAt: null },
  },
}

const nullEmitter: Emitter = {
  emit: () => {},
  flush: () => {},
  state: () => ({ spoolBytes: 0, emitted: 0, dropped: 0, oldestMs: null, bus: 'ok', since: 0 }),
  drain: async () => true,
  close: async () => {},
}

async function openBus(kind: Variant['bus'], dir: string): Promise<EventBus> {
  if (kind === 'null') return new NullBus()
  const bus = await createEmbeddedBus({ path: join(dir, 'bus') })
  await bus.ensureTopics(Object.values(topics))
  return bus
}

function openTraces(registry: Registry, { runtime, text, pools }: Served) {
  return openTracing({
    ...{ endpoint: `http://127.0.0.1:${argument.upstream}`, headers: {}, sampleRatio: 1, intervalMs: 10_000, node: 'bench' },
    models: [...runtime.list(), ...text.list()].map(({ name }) => name),
    forwards: (pool) => pools.some(({ name, upstream }) => name === pool && upstream !== null),
    ...{ addressKey: new Uint8Array(32), clock: Date.now, registry, log },
  })
}

async function openVariant({ name, without = [], bus: kind, tracing = false, features }: Variant, served: Served, dir: string) {
  const bus = await openBus(kind, join(dir, name))
  const registry = new Registry()
  const emitter = without.includes('events')
    ? nullEmitter
    : await openEmitter({ bus, dir: join(dir, name, 'spool'), clock: Date.now, log, registry })
  const keys = await openTestKeys(bus, Date.now)
  const { key } = await keys.create({ principal: 'bench', organization: 'acme' })
  const around = { dir: join(dir, name, 'doors'), bus, emitter, keys: keys.registry, registry, log }
  const doors = features === undefined ? undefined : await openDoors(features, around)
  const profile = readFileSync(join(modelsDir, 'digits', version, 'profile.bin'))
  const fingerprinter = without.includes('fingerprints') ? undefined : openFingerprinter({ profile, key: new Uint8Array(32), epoch: 0 })
  const { pools, runtime, text } = served
  const node = await createNode({
    ...{ name: 'bench', pools, runtime, text, emitter, registry, log },
    configurationOf: configurations({}),
    tracing: tracing ? openTraces(registry, served) : passThrough,
    fingerprinterOf: (model) => (model === 'digits' ? fingerprinter : undefined),
    keys: keys.registry,
    containments: await openView(bus, 'containments'),
    models: await openView(bus, 'models'),
    clock: Date.now,
    control: { boundMs: 15_000, lost: 'last-known' },
    addressKey: new Uint8Array(32),
    prices: { perItem: 0.0001 },
    limits: { maxInFlight: 4_096, maxConnections: 8_192 },
    ...(doors?.options ?? { authenticator: without.includes('keys') ? anybody : callersByKey(keys.registry, registry) }),
  })
  const { sharedPort } = argument
  const { port } = await node.start({ host: '127.0.0.1', port: sharedPort ?? 0, reusePort: sharedPort !== undefined })
  // Who sends a bearer is known by that, and not by a certificate.
  const bearer = doors?.bearer ?? (doors?.secure === undefined ? key : undefined)
  const authorization = bearer === undefined ? undefined : `Bearer ${bearer}`
  return { name, port, authorization, secure: doors?.secure, emitter, close: () => node.close() }
}

const argument = argumentOf<NodeArgument>()
const dir = mkdtempSync(join(tmpdir(), 'cordon-bench-node-'))
const served = await openRuntimes(argument.upstream, argument.local)
const nodes = await Promise.all(argument.variants.map((variant) => openVariant(variant, served, dir)))
const loop = monitorEventLoopDelay({ resolution: 10 })
loop.enable()

function state(): NodeState {
  const emitters = nodes.map(({ emitter }) => emitter.state())
  const loopP99Ms = loop.percentile(99) / 1e6
  loop.reset()
  const sum = (of: (one: (typeof emitters)[number]) => number) => emitters.reduce((total, one) => total + of(one), 0)
  const spool = { spoolBytes: sum(({ spoolBytes }) => spoolBytes), dropped: sum(({ dropped }) => dropped) }
  const live = { liveBytes: globalThis.gc === undefined ? 0 : liveBytes(globalThis.gc) }
  return { tensorBytes: served.runtime.tensorBytes(), ...spool, ...live, loopP99Ms }
}

function liveBytes(collect: () => void): number {
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const ready: NodeReady = {
  ports: Object.fromEntries(nodes.map(({ name, port }) => [name, port])),
  authorization: Object.fromEntries(nodes.map(({ name, authorization }) => [name, authorization])),
  secure: Object.fromEntries(nodes.map(({ name, secure }) => [name, secure])),
  languages: served.languages,
}
obey(ready, { ...usageOrders(), state }, async () => {
  await Promise.all(nodes.map(({ close }) => close()))
  await Promise.all([served.runtime.close(), served.text.close()])
  rmSync(dir, { recursive: true, force: true })
})
