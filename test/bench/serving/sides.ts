import { loadMnist, pixels } from '../../../inference/datasets/mnist.ts'
import { chatModel } from './answers.ts'
import { type Child, openChild } from './child.ts'
import type { Secure } from './connection.ts'
import type { ClosedLoad, Kind, LoadResult } from './generator.ts'
import type { NodeArgument, NodeReady, Variant } from './node.ts'
import type { UpstreamArgument } from './upstream.ts'
import type { Usage } from './usage.ts'

/** One of the servers that are compared. */
export interface Side {
  readonly name: string
  readonly port: number
  readonly child: Child
  readonly headers: Readonly<Record<string, string>>
  /** Over TLS, with a certificate. */
  readonly secure?: Secure | undefined
  /** Kinds of requests that it has answered enough of to be warm. */
  readonly warm: Set<string>
}

export interface Round extends LoadResult {
  /** CPU time of the server's process by request: it depends less on what else the machine does than time does. */
  readonly cpuMicros: number
}

/** What one comparison loads the sides with. */
export interface Comparison {
  readonly kind: Omit<Kind, 'headers' | 'weight'>
  readonly clients: number
  readonly ms: number
  readonly rounds: number
  /** Requests of its kind that each side answers before it counts. */
  readonly warmRequests: number
}

/**
 * A server takes three times the CPU time for its first thousand requests, and a node still a tenth more after five thousand, until V8 has
 * compiled what there is to compile; one that serves for a day is past that.
 */
export const warmEnough = (short: boolean) => (short ? 3_000 : 15_000)

export const openGenerator = () => openChild(new URL('generator.ts', import.meta.url))

export async function openUpstream({ tokenMs = 0, tls = false } = {}): Promise<Side> {
  const argument: UpstreamArgument = { tokenMs, tls }
  const child = await openChild(new URL('upstream.ts', import.meta.url), argument)
  const { secure } = child.ready as { readonly secure?: Secure }
  return { name: tls ? 'bare-tls' : 'bare', child, headers: {}, port: portOf(child), secure, warm: new Set() }
}

export async function openProxy(upstream: number): Promise<Side> {
  const child = await openChild(new URL('proxy.ts', import.meta.url), { upstream })
  return { name: 'proxy', child, headers: {}, port: portOf(child), warm: new Set() }
}

/** A process with a node for each variant. */
export async function openNodes(argument: NodeArgument): Promise<readonly Side[]> {
  const child = await openChild(new URL('node.ts', import.meta.url), argument)
  return argument.variants.map(({ name }) => sideOf(name, child))
}

/** A node in a process of its own. */
export async function openNode(upstream: number, variant: Variant): Promise<Side> {
  const [node] = await openNodes({ upstream, local: false, variants: [variant] })
  if (node === undefined) throw new Error('no node was opened')
  return node
}

/**
 * Node processes that share a port. What is asked of the child is told of the first alone; keys are off, since each would have its own.
 *
 * @returns one side, and the processes to be closed
 */
export async function openNodeProcesses(upstream: number, count: number): Promise<readonly [Side, ...Child[]]> {
  const name = `processes-${count}`
  const variants: readonly Variant[] = [{ name, without: ['keys'], bus: 'null' }]
  const begin = (sharedPort: number) => openChild(new URL('node.ts', import.meta.url), { upstream, local: false, variants, sharedPort })
  const first = await begin(0)
  const side = sideOf(name, first)
  const others = await Promise.all(Array.from({ length: count - 1 }, () => begin(side.port)))
  return [side, first, ...others]
}

/** A node that serves every model of the repository, and what is behind it; it may be asked what a full collection leaves. */
export async function openLocalNode(upstream: number): Promise<Side & { readonly languages: readonly string[] }> {
  const argument: NodeArgument = { upstream, local: true, variants: [{ name: 'node', bus: 'null' }] }
  const child = await openChild(new URL('node.ts', import.meta.url), argument, ['--expose-gc'])
  return { ...sideOf('node', child), languages: (child.ready as NodeReady).languages }
}

function sideOf(name: string, child: Child): Side {
  const { ports, authorization, secure } = child.ready as NodeReady
  const bearer = authorization[name]
  const headers: Side['headers'] = bearer === undefined ? {} : { authorization: bearer }
  return { name, child, port: ports[name] ?? 0, headers, secure: secure[name], warm: new Set() }
}

function portOf({ ready }: Child): number {
  return (ready as { readonly port: number }).port
}

/** So long a turn of warming up takes, and so many are tried. */
const warmTurns = { ms: 500, most: 20 }

/** Loads each side in turn, each round in the other order, once all are warm. */
export async function compare(
  generator: Child,
  sides: readonly Side[],
  comparison: Comparison,
): Promise<ReadonlyMap<string, readonly Round[]>> {
  const { rounds } = comparison
  const found = new Map(sides.map(({ name }): [string, Round[]] => [name, []]))
  for (const side of sides) await warmUp(generator, side, comparison)
  for (let round = 0; round < rounds; round++) {
    for (const side of round % 2 === 0 ? sides : sides.toReversed()) found.get(side.name)?.push(await load(generator, side, comparison))
  }
  return found
}

async function warmUp(generator: Child, side: Side, { kind, warmRequests }: Comparison): Promise<void> {
  if (side.warm.has(kind.name)) return
  side.warm.add(kind.name)
  const { ms, most } = warmTurns
  // Alone first: what a cold process does once may take longer than a connection to what is behind it may.
  await load(generator, side, { kind, clients: 1, ms: ms / 5 })
  for (let turn = 0, asked = 0; turn < most && asked < warmRequests; turn++) {
    asked += (await load(generator, side, { kind, clients: 16, ms })).requests
  }
}

export async function load(
  generator: Child,
  { name, port, child, headers, secure }: Side,
  { kind, clients, ms }: Pick<Comparison, 'kind' | 'clients' | 'ms'>,
): Promise<Round> {
  const order: ClosedLoad = {
    port,
    clients,
    ms,
    ...(secure === undefined ? {} : { secure }),
    kinds: [{ ...kind, weight: 1, headers: { 'content-type': 'application/json', ...headers } }],
  }
  const round = await measure(generator, child, order)
  const { byStatus } = round.kinds[kind.name] ?? { byStatus: {} }
  if (Object.keys(byStatus).join() !== '200') throw new Error(`${name} answered ${JSON.stringify(byStatus)} to ${kind.name}`)
  return round
}

/** Loads the server of that process, whatever it answers. */
export async function measure(generator: Child, server: Child, order: ClosedLoad): Promise<Round> {
  const before = await server.ask<Usage>('usage')
  const result = await generator.ask<LoadResult>('ask', order)
  const after = await server.ask<Usage>('usage')
  return { ...result, cpuMicros: (after.cpuMicros - before.cpuMicros) / result.requests }
}

/** Handwritten digits as JSON, some 3.5 kB an item. */
export function inferBodies(count: number, items = 1): Uint8Array[] {
  const { images } = loadMnist('test')
  return Array.from({ length: count }, (_, index) => {
    const values = images.subarray(index * items * pixels, (index + 1) * items * pixels)
    const data = Array.from(values, (value) => Math.round(value * 10_000) / 10_000)
    return Buffer.from(JSON.stringify({ inputs: [{ name: 'image', shape: [items, 28, 28, 1], datatype: 'FP32', data }] }))
  })
}

/** A chat of two messages, with the usage of streams asked for. */
export function chatBody(stream: boolean, model = chatModel, max_tokens = 64): Uint8Array {
  const messages = [
    { role: 'system', content: 'You answer in one sentence.' },
    { role: 'user', content: 'What does a proxy cost?' },
  ]
  return Buffer.from(
    JSON.stringify({ model, messages, max_tokens, ...(stream ? { stream, stream_options: { include_usage: true } } : {}) }),
  )
}

export const inferKind = (bodies: readonly Uint8Array[]) => ({
  name: 'infer',
  method: 'POST' as const,
  path: '/v2/models/digits/infer',
  bodies,
})
export const chatKind = (stream: boolean) => ({
  ...{ name: stream ? 'stream' : 'chat', method: 'POST' as const, path: '/v1/chat/completions' },
  bodies: [chatBody(stream)],
})
