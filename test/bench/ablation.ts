import { availableParallelism } from 'node:os'
import { quantile } from './quantile.ts'
import type { Child } from './serving/child.ts'
import type { Variant } from './serving/node.ts'
import type { Profile } from './serving/profile.ts'
import {
  type Comparison,
  chatKind,
  compare,
  inferBodies,
  inferKind,
  load,
  openGenerator,
  openNode,
  openNodeProcesses,
  openNodes,
  openProxy,
  openUpstream,
  type Round,
  type Side,
  warmEnough,
} from './serving/sides.ts'

/** A node before an upstream, against no node and against the least proxy there is; medians of paired rounds. */
export interface Added {
  /** One client that asks alone: what the node adds to the bare upstream's answer. Aims: 0.5 and 2. */
  readonly addedP50Ms: number
  readonly addedP99Ms: number
  /** To the first byte of the body; for streams the first token. Aim for streams: 1. */
  readonly addedFirstP50Ms: number
  /** What the bare proxy adds, for comparison. */
  readonly proxyAddedP50Ms: number
  readonly proxyAddedP99Ms: number
  /** By clients: requests a second over those of the bare proxy. Aim: 0.85. */
  readonly throughputRatio: Readonly<Record<number, number>>
  /** CPU time of the process, by request, at the most clients. */
  readonly cpuMicros: Readonly<Record<string, number>>
  /** Share of a core that the load generator took, at most: near 1, it was the bottleneck. */
  readonly clientCpu: number
}

/** CPU microseconds a request. The parts of the node less those of the proxy sum up to the difference. */
export interface Parts {
  readonly proxyMicros: number
  readonly nodeMicros: number
  readonly differenceMicros: number
  /** Node less proxy, by part, from the profiler's samples; sums up to the difference. */
  readonly byPart: Readonly<Record<string, number>>
  /** The node less the same node without the part, measured by itself: what leaving it out would save. */
  readonly saved: Readonly<Record<string, number>>
  /** What sending the trace of every request costs on top; the node above sends none. */
  readonly tracing: number
}

export interface AblationBench {
  readonly cores: number
  /** Tensors as JSON, fingerprints and events on; the bus takes and drops, as if it were elsewhere. */
  readonly infer: Added
  /** The same with the embedded bus in the node's process. */
  readonly inferEmbedded: Pick<Added, 'throughputRatio' | 'cpuMicros'>
  /** By how long the model computes, milliseconds of one core: the same ratio with 16 clients. The smallest model there is takes 0.8. */
  readonly inferBehindModel: Readonly<Record<number, number>>
  /** By node processes on one port: requests a second over those of one bare proxy, and by clients. The load and the upstream need cores too. */
  readonly inferProcesses: Readonly<Record<number, Added['throughputRatio']>>
  readonly chat: Added
  readonly chatStreamed: Added
  readonly parts: Parts
}

interface Scale {
  readonly ms: number
  readonly rounds: number
  readonly warmRequests: number
  readonly clients: readonly number[]
}

const full: Variant = { name: 'node', bus: 'null' }
const embedded: Variant = { name: 'embedded', bus: 'embedded' }
const lessened: readonly Variant[] = [
  full,
  { name: 'tracing', tracing: true, bus: 'null' },
  { name: 'keys', without: ['keys'], bus: 'null' },
  { name: 'fingerprints', without: ['fingerprints'], bus: 'null' },
  { name: 'events', without: ['events'], bus: 'null' },
  { name: 'everything', without: ['keys', 'fingerprints', 'events'], bus: 'null' },
]

/** Every server and the load in processes of their own; some 4 minutes, or 60 seconds. */
export async function benchAblation(short: boolean): Promise<AblationBench> {
  const size = short ? { ms: 400, rounds: 3, clients: [16] } : { ms: 1_000, rounds: 5, clients: [16, 64] }
  const scale: Scale = { ...size, warmRequests: warmEnough(short) }
  const generator = await openGenerator()
  const bare = await openUpstream()
  const sides: Side[] = [bare]
  try {
    const proxy = await openProxy(bare.port)
    sides.push(proxy)
    const node = await openNode(bare.port, full)
    const inProcess = await openNode(bare.port, embedded)
    sides.push(node, inProcess)
    const infer = inferKind(inferBodies(200))
    const measured = await throughputOf(generator, [proxy, node, inProcess], infer, scale)
    return {
      cores: availableParallelism(),
      infer: { ...(await latencyOf(generator, [bare, proxy, node], infer, scale)), ...ratiosOf(measured, 'node') },
      inferEmbedded: ratiosOf(measured, 'embedded'),
      inferBehindModel: await behindModels(generator, [bare, proxy, node], infer, scale),
      inferProcesses: await processesOf(generator, proxy, bare.port, infer, scale),
      chat: await added(generator, [bare, proxy, node], false, scale),
      chatStreamed: await added(generator, [bare, proxy, node], true, scale),
      parts: await partsOf(generator, proxy, node, bare.port, scale),
    }
  } finally {
    await Promise.all([generator, ...sides.map(({ child }) => child)].map((child) => child.close()))
  }
}

const modelMs = [0.25, 0.5, 1, 2]

async function behindModels(generator: Child, [bare, proxy, node]: readonly [Side, Side, Side], kind: Comparison['kind'], scale: Scale) {
  const found: Record<number, number> = {}
  for (const ms of modelMs) {
    await bare.child.ask('compute', ms)
    const compared = await compare(generator, [proxy, node], { ...scale, kind, clients: 16 })
    found[ms] = paired(compared, 'node', 'proxy', (a, b) => a.perSecond / b.perSecond)
  }
  await bare.child.ask('compute', 0)
  return found
}

async function processesOf(generator: Child, proxy: Side, upstream: number, kind: Comparison['kind'], scale: Scale) {
  const found: Record<number, Added['throughputRatio']> = {}
  for (let count = 2; count <= Math.max(2, availableParallelism() / 2); count *= 2) {
    const [side, ...children] = await openNodeProcesses(upstream, count)
    try {
      found[count] = ratiosOf(await throughputOf(generator, [proxy, side], kind, scale), side.name).throughputRatio
    } finally {
      await Promise.all(children.map((child) => child.close()))
    }
  }
  return found
}

async function added(generator: Child, [bare, proxy, node]: readonly [Side, Side, Side], stream: boolean, scale: Scale): Promise<Added> {
  const kind = chatKind(stream)
  const measured = await throughputOf(generator, [proxy, node], kind, scale)
  return { ...(await latencyOf(generator, [bare, proxy, node], kind, scale)), ...ratiosOf(measured, 'node') }
}

async function latencyOf(generator: Child, sides: readonly Side[], kind: Comparison['kind'], scale: Scale) {
  const found = await compare(generator, sides, { ...scale, kind, clients: 1 })
  const first = (round: Round) => round.kinds[kind.name]?.firstP50Ms ?? Number.NaN
  const more = (name: string, of: (round: Round) => number) => paired(found, name, 'bare', (a, b) => of(a) - of(b))
  return {
    addedP50Ms: more('node', ({ p50Ms }) => p50Ms),
    addedP99Ms: more('node', ({ p99Ms }) => p99Ms),
    addedFirstP50Ms: more('node', first),
    proxyAddedP50Ms: more('proxy', ({ p50Ms }) => p50Ms),
    proxyAddedP99Ms: more('proxy', ({ p99Ms }) => p99Ms),
  }
}

type Measured = ReadonlyMap<number, ReadonlyMap<string, readonly Round[]>>

async function throughputOf(generator: Child, sides: readonly Side[], kind: Comparison['kind'], scale: Scale): Promise<Measured> {
  const found = new Map<number, ReadonlyMap<string, readonly Round[]>>()
  for (const clients of scale.clients) found.set(clients, await compare(generator, sides, { ...scale, kind, clients }))
  return found
}

function ratiosOf(measured: Measured, name: string): Pick<Added, 'throughputRatio' | 'cpuMicros' | 'clientCpu'> {
  const ratio = [...measured].map(([clients, found]) => [clients, paired(found, name, 'proxy', (a, b) => a.perSecond / b.perSecond)])
  const most = [...measured.values()].at(-1) ?? new Map<string, readonly Round[]>()
  const cpu = ['proxy', name].map((side) => [
    side,
    quantile(
      (most.get(side) ?? []).map(({ cpuMicros }) => cpuMicros),
      0.5,
    ),
  ])
  const clientCpu = Math.max(...[...measured.values()].flatMap((found) => [...found.values()].flat().map((round) => round.clientCpu)))
  return { throughputRatio: Object.fromEntries(ratio), cpuMicros: Object.fromEntries(cpu), clientCpu }
}

/** Median over the rounds of what two sides had in the same round. */
function paired(found: ReadonlyMap<string, readonly Round[]>, a: string, b: string, of: (a: Round, b: Round) => number): number {
  const others = found.get(b) ?? []
  return quantile(
    (found.get(a) ?? []).flatMap((round, index) => {
      const other = others[index]
      return other === undefined ? [] : [of(round, other)]
    }),
    0.5,
  )
}

async function partsOf(generator: Child, proxy: Side, node: Side, upstream: number, scale: Scale): Promise<Parts> {
  const kind = inferKind(inferBodies(200))
  const [less, more] = [await profiled(generator, proxy, kind, 4 * scale.ms), await profiled(generator, node, kind, 4 * scale.ms)]
  const names = new Set([...Object.keys(more), ...Object.keys(less)])
  const byPart = [...names].map((name) => [name, (more[name] ?? 0) - (less[name] ?? 0)] as const).sort(([, a], [, b]) => b - a)
  const sum = (parts: Readonly<Record<string, number>>) => Object.values(parts).reduce((total, micros) => total + micros, 0)
  const [proxyMicros, nodeMicros] = [sum(less), sum(more)]
  const variants = await openNodes({ upstream, local: false, variants: lessened })
  try {
    const found = await compare(generator, variants, { ...scale, kind, clients: 16 })
    const cost = (name: string) => paired(found, 'node', name, (a, b) => a.cpuMicros - b.cpuMicros)
    const saved = lessened.filter(({ without }) => without !== undefined).map(({ name }) => [name, cost(name)])
    return {
      proxyMicros,
      nodeMicros,
      differenceMicros: nodeMicros - proxyMicros,
      byPart: Object.fromEntries(byPart),
      saved: Object.fromEntries(saved),
      tracing: -cost('tracing'),
    }
  } finally {
    await variants[0]?.child.close()
  }
}

/** CPU microseconds a request by part. */
async function profiled(generator: Child, side: Side, kind: Comparison['kind'], ms: number): Promise<Readonly<Record<string, number>>> {
  await side.child.ask('profile')
  const { cpuMicros } = await load(generator, side, { kind, clients: 16, ms })
  const { parts } = await side.child.ask<Profile>('profiled')
  return Object.fromEntries(Object.entries(parts).map(([name, share]) => [name, share * cpuMicros]))
}
