import { performance } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { build, type Histogram } from 'hdr-histogram-js'
import { obey } from './child.ts'
import { Connection, type Secure } from './connection.ts'

// The clients, in a process of their own. Orders are `ask` (each client asks, waits, asks
// again) and `send` (requests begin at a fixed rate, whatever the answers do).

/** Requests of one sort. */
export interface Kind {
  readonly name: string
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly bodies: readonly Uint8Array[]
  /** How many of all requests, relative to the other kinds'. */
  readonly weight: number
  /** Hang up at the first byte of the answer's body. */
  readonly leaves?: boolean
}

export interface ClosedLoad {
  readonly port: number
  /** Left out, over plain HTTP. */
  readonly secure?: Secure
  readonly kinds: readonly Kind[]
  readonly clients: number
  readonly ms: number
}

export interface OpenLoad {
  readonly port: number
  readonly kinds: readonly Kind[]
  /** Requests a second. */
  readonly rate: number
  readonly ms: number
  /** Connections at most; a request that finds none waits for one, and its time runs. */
  readonly connections: number
}

export interface KindResult {
  readonly requests: number
  readonly byStatus: Readonly<Record<string, number>>
  readonly p50Ms: number
  readonly p99Ms: number
  readonly firstP50Ms: number
  readonly firstP99Ms: number
}

export interface LoadResult {
  readonly requests: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly kinds: Readonly<Record<string, KindResult>>
  /** Share of one core that the clients took: near 1, they were the bottleneck. */
  readonly clientCpu: number
}

const newHistogram = () => build({ lowestDiscernibleValue: 1, highestTrackableValue: 600_000_000, numberOfSignificantValueDigits: 3 })
const msAt = (histogram: Histogram, percentile: number) => histogram.getValueAtPercentile(percentile) / 1_000

class Tally {
  readonly #byKind = new Map<string, { whole: Histogram; first: Histogram; byStatus: Map<string, number> }>()
  readonly #all = newHistogram()
  readonly #startedAt = performance.now()
  readonly #cpu = process.cpuUsage()
  requests = 0

  note(kind: string, status: string, ms: number, firstMs: number): void {
    const one = this.#byKind.get(kind) ?? { whole: newHistogram(), first: newHistogram(), byStatus: new Map() }
    this.#byKind.set(kind, one)
    one.byStatus.set(status, (one.byStatus.get(status) ?? 0) + 1)
    one.whole.recordValue(Math.max(1, Math.round(ms * 1_000)))
    one.first.recordValue(Math.max(1, Math.round(firstMs * 1_000)))
    this.#all.recordValue(Math.max(1, Math.round(ms * 1_000)))
    this.requests++
  }

  result(): LoadResult {
    const seconds = (performance.now() - this.#startedAt) / 1_000
    const { user, system } = process.cpuUsage(this.#cpu)
    const kinds: Record<string, KindResult> = {}
    for (const [name, { whole, first, byStatus }] of this.#byKind) {
      const times = { p50Ms: msAt(whole, 50), p99Ms: msAt(whole, 99), firstP50Ms: msAt(first, 50), firstP99Ms: msAt(first, 99) }
      kinds[name] = { requests: whole.totalCount, byStatus: Object.fromEntries(byStatus), ...times }
    }
    const all = { p50Ms: msAt(this.#all, 50), p99Ms: msAt(this.#all, 99) }
    return { requests: this.requests, perSecond: this.requests / seconds, ...all, kinds, clientCpu: (user + system) / 1e6 / seconds }
  }
}

/** The requests of each kind as bytes, and the order in which kinds come: a fixed round by weight. */
class Script {
  readonly #requests: readonly (readonly Uint8Array[])[]
  readonly #kinds: readonly Kind[]
  readonly #round: readonly number[]
  #at = 0

  constructor(kinds: readonly Kind[]) {
    this.#kinds = kinds
    this.#requests = kinds.map((kind) => kind.bodies.map((body) => requestOf(kind, body)))
    this.#round = roundOf(kinds.map(({ weight }) => weight))
  }

  next(): { readonly kind: Kind; readonly bytes: Uint8Array } {
    const index = this.#round[this.#at % this.#round.length] ?? 0
    const requests = this.#requests[index] ?? []
    const kind = this.#kinds[index]
    const bytes = requests[this.#at++ % requests.length]
    if (kind === undefined || bytes === undefined) throw new Error('a load without a request')
    return { kind, bytes }
  }
}

/** Indices so often as their weight, spread evenly: each next is the one that is furthest behind its share. */
function roundOf(weights: readonly number[]): number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const behind = weights.map(() => 0)
  return Array.from({ length: total }, () => {
    weights.forEach((weight, index) => {
      behind[index] = (behind[index] ?? 0) + weight
    })
    const index = behind.indexOf(Math.max(...behind))
    behind[index] = (behind[index] ?? 0) - total
    return index
  })
}

function requestOf({ method, path, headers }: Kind, body: Uint8Array): Uint8Array {
  const given = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const length = method === 'POST' ? `content-length: ${body.length}\r\n` : ''
  return Buffer.concat([Buffer.from(`${method} ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n${given.join('')}${length}\r\n`), body])
}

async function askOnce(connection: Connection, script: Script, tally: Tally, since: number | undefined): Promise<void> {
  const { kind, bytes } = script.next()
  const startedAt = since ?? performance.now()
  try {
    const { status, ms, firstMs } = await connection.ask(bytes, kind.leaves)
    const waited = performance.now() - startedAt - ms
    tally.note(kind.name, String(status), ms + waited, firstMs + waited)
  } catch {
    connection.close()
    tally.note(kind.name, 'lost', performance.now() - startedAt, performance.now() - startedAt)
  }
}

async function ask({ port, secure, kinds, clients, ms }: ClosedLoad): Promise<LoadResult> {
  const script = new Script(kinds)
  const tally = new Tally()
  const until = performance.now() + ms
  const client = async () => {
    const connection = new Connection(port, secure)
    while (performance.now() < until) await askOnce(connection, script, tally, undefined)
    connection.close()
  }
  await Promise.all(Array.from({ length: clients }, client))
  return tally.result()
}

/** A request's time runs from when it was due, not from when it could be sent: no coordinated omission. */
async function send({ port, kinds, rate, ms, connections }: OpenLoad): Promise<LoadResult> {
  const script = new Script(kinds)
  const tally = new Tally()
  const free = Array.from({ length: connections }, () => new Connection(port))
  let freed = Promise.withResolvers<void>()
  const running = new Set<Promise<void>>()
  const run = async (connection: Connection, due: number) => {
    await askOnce(connection, script, tally, due)
    free.push(connection)
    freed.resolve()
  }
  const startedAt = performance.now()
  const total = Math.floor((rate * ms) / 1_000)
  for (let begun = 0; begun < total; begun++) {
    const due = startedAt + (begun / rate) * 1_000
    while (performance.now() < due) await delay(1)
    for (; free.length === 0; freed = Promise.withResolvers()) await freed.promise
    const connection = free.pop()
    if (connection === undefined) throw new Error('a connection was freed that is not there')
    const one: Promise<void> = run(connection, due).finally(() => running.delete(one))
    running.add(one)
  }
  await Promise.all(running)
  for (const connection of free) connection.close()
  return tally.result()
}

obey(null, { ask, send })
