import { availableParallelism } from 'node:os'
import { quantile } from './quantile.ts'
import type { Feature } from './serving/features.ts'
import type { Variant } from './serving/node.ts'
import {
  type Comparison,
  chatKind,
  compare,
  inferBodies,
  inferKind,
  openGenerator,
  openNode,
  openProxy,
  openUpstream,
  type Round,
  type Side,
  warmEnough,
} from './serving/sides.ts'

/**
 * What one variant of the node costs, each figure the median of what it had in a round less what another had in the same.
 * Those of `quiet` are of the tenth of each one's rounds that was disturbed least: what else the machine does only adds.
 */
export interface Door extends Costs {
  readonly quiet: Costs
}

interface Costs {
  /** One client that asks alone, against the bare upstream. Aims with everything on: 0.5 and 2. */
  readonly addedP50Ms: number
  readonly addedP99Ms: number
  /** CPU time of the node's process, by request: it depends least on what else the machine does. */
  readonly cpuMicros: number
  /** Against the node that knows API keys alone: what the feature takes. 0 for that one. */
  readonly shareP50Ms: number
  readonly shareCpuMicros: number
  /** Against the bare upstream behind the same TLS, with certificates on both sides: what is left when TLS was there before the node. */
  readonly beyondTlsP50Ms: number
  readonly beyondTlsP99Ms: number
}

interface Doors {
  /** Of the upstream itself, and what the least proxy there is adds: how busy the machine was. */
  readonly bareP50Ms: number
  readonly bareP99Ms: number
  /** What TLS with certificates on both sides adds to the upstream, without anything between. */
  readonly tlsAddedP50Ms: number
  readonly tlsAddedP99Ms: number
  readonly proxyAddedP50Ms: number
  readonly proxyAddedP99Ms: number
  readonly proxyQuietP50Ms: number
  readonly proxyQuietP99Ms: number
  readonly doors: Readonly<Record<string, Door>>
}

export interface DoorsBench {
  readonly cores: number
  readonly infer: Doors
  readonly chat: Doors
}

const all: readonly Feature[] = ['jwt', 'tls', 'policy', 'limits', 'audit', 'redaction', 'hardening']

/** Names by what is on; each of the others has keys too. */
const doors = {
  infer: {
    ...{ keys: [], jwt: ['jwt'], certificates: ['tls'], policy: ['policy'], limits: ['limits'], audit: ['audit'] },
    ...{ hardening: ['hardening'], everything: all },
  },
  chat: { keys: [], policy: ['policy'], limits: ['limits'], audit: ['audit'], redaction: ['redaction'], everything: all },
} as const satisfies Record<string, Readonly<Record<string, readonly Feature[]>>>

/** The node's doors, each alone and all together, in turn within each round; some 4 minutes, or one. */
export async function benchDoors(short: boolean): Promise<DoorsBench> {
  const scale = { ...(short ? { ms: 100, rounds: 10 } : { ms: 150, rounds: 40 }), warmRequests: warmEnough(short) }
  return {
    cores: availableParallelism(),
    infer: await openedDoors(doors.infer, { ...scale, kind: inferKind(inferBodies(200)), clients: 1 }),
    chat: await openedDoors(doors.chat, { ...scale, kind: chatKind(false), clients: 1 }),
  }
}

async function openedDoors(features: Readonly<Record<string, readonly Feature[]>>, comparison: Comparison): Promise<Doors> {
  const variants = Object.entries(features).map(([name, one]): Variant => ({ name, bus: 'null', features: one }))
  const [generator, bare, bareTls] = [await openGenerator(), await openUpstream(), await openUpstream({ tls: true })]
  const children = [generator, bare.child, bareTls.child]
  try {
    const proxy = await openProxy(bare.port)
    children.push(proxy.child)
    const nodes: Side[] = []
    for (const variant of variants) {
      // A process each: eight nodes in one share what V8 has learnt of one kind, and push each other out of the caches.
      const node = await openNode(bare.port, variant)
      nodes.push(node)
      children.push(node.child)
    }
    const found = await compare(generator, [bare, bareTls, proxy, ...nodes], comparison)
    return {
      bareP50Ms: at(found, 'bare', 0.5, ({ p50Ms }) => p50Ms),
      bareP99Ms: at(found, 'bare', 0.5, ({ p99Ms }) => p99Ms),
      tlsAddedP50Ms: paired(found, 'bare-tls', 'bare', ({ p50Ms }) => p50Ms),
      tlsAddedP99Ms: paired(found, 'bare-tls', 'bare', ({ p99Ms }) => p99Ms),
      proxyAddedP50Ms: paired(found, 'proxy', 'bare', ({ p50Ms }) => p50Ms),
      proxyAddedP99Ms: paired(found, 'proxy', 'bare', ({ p99Ms }) => p99Ms),
      proxyQuietP50Ms: quietest(found, 'proxy', 'bare', ({ p50Ms }) => p50Ms),
      proxyQuietP99Ms: quietest(found, 'proxy', 'bare', ({ p99Ms }) => p99Ms),
      doors: Object.fromEntries(variants.map(({ name }) => [name, doorOf(found, name)])),
    }
  } finally {
    await Promise.all(children.map((child) => child.close()))
  }
}

type Found = ReadonlyMap<string, readonly Round[]>

function doorOf(found: Found, name: string): Door {
  return { ...costsOf(found, name, paired, 0.5), quiet: costsOf(found, name, quietest, least) }
}

type Of = (round: Round) => number
type Less = (found: Found, name: string, other: string, of: Of) => number

function costsOf(found: Found, name: string, less: Less, share: number): Costs {
  return {
    addedP50Ms: less(found, name, 'bare', ({ p50Ms }) => p50Ms),
    addedP99Ms: less(found, name, 'bare', ({ p99Ms }) => p99Ms),
    cpuMicros: at(found, name, share, ({ cpuMicros }) => cpuMicros),
    shareP50Ms: less(found, name, 'keys', ({ p50Ms }) => p50Ms),
    shareCpuMicros: less(found, name, 'keys', ({ cpuMicros }) => cpuMicros),
    beyondTlsP50Ms: less(found, name, 'bare-tls', ({ p50Ms }) => p50Ms),
    beyondTlsP99Ms: less(found, name, 'bare-tls', ({ p99Ms }) => p99Ms),
  }
}

/** Median over the rounds of what two sides had in the same round. */
function paired(found: Found, name: string, other: string, of: Of): number {
  const rounds = (found.get(name) ?? []).flatMap((round, index) => {
    const before = found.get(other)?.[index]
    return before === undefined ? [] : [of(round) - of(before)]
  })
  return rounded(quantile(rounds, 0.5))
}

const least = 0.1

function quietest(found: Found, name: string, other: string, of: Of): number {
  return rounded(at(found, name, least, of) - at(found, other, least, of))
}

function at(found: Found, name: string, share: number, of: Of): number {
  return rounded(quantile((found.get(name) ?? []).map(of), share))
}

function rounded(value: number): number {
  return Number(value.toFixed(3))
}
