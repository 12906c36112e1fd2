import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import { after } from 'node:test'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { RequestCancellation } from '../../../inference/cancellation.ts'
import { PoolConfiguration, type UpstreamConfiguration } from '../../../inference/configuration.ts'
import type { InferCall, TextCall } from '../../../inference/port.ts'
import type { UpstreamOptions } from '../../../inference/upstream/upstream.ts'

export interface Asked {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
  readonly response: ServerResponse
  readonly socket: Socket
  /** Settles when the connection is closed, by whomever. */
  readonly closed: Promise<void>
}

/** A server in this process that answers what a test says, well or not. */
export class FakeUpstream {
  /** All but checks and metadata. */
  readonly asked: Asked[] = []
  /** Everything, by method and path. */
  readonly paths: string[] = []
  answer: (asked: Asked) => void = ({ response }) => response.writeHead(500).end()
  /** Status of checks; 0 leaves them hanging. */
  health = 200
  /** Bodies of GET, by path. */
  readonly documents = new Map<string, unknown>()
  /** Paths of GET that are never answered. */
  readonly hanging = new Set<string>()
  readonly #server: Server
  #waiting: ((asked: Asked) => void)[] = []

  constructor(port = 0) {
    this.#server = createServer((request, response) => void this.#serve(request, response))
    this.#server.keepAliveTimeout = 60_000
    this.#server.listen(port, '127.0.0.1')
  }

  static async open(port = 0): Promise<FakeUpstream> {
    const one = new FakeUpstream(port)
    await new Promise((resolve) => one.#server.once('listening', resolve))
    return one
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** The next request that comes. */
  next(): Promise<Asked> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  connections(): Promise<number> {
    return new Promise((resolve, reject) => this.#server.getConnections((error, count) => (error ? reject(error) : resolve(count))))
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers, socket } = request
    socket.setMaxListeners(0)
    this.paths.push(`${method} ${url}`)
    if (method === 'GET') return this.#document(url, response)
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    const asked = { method, url, headers, body: Buffer.concat(chunks), response, socket, closed }
    this.asked.push(asked)
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve(asked)
    this.answer(asked)
  }

  /** Closes the connection after each, so that what a test then closes leaves no idle connection that nobody was told about yet. */
  #document(url: string, response: ServerResponse): void {
    response.setHeader('connection', 'close')
    if (this.hanging.has(url)) return
    const document = this.documents.get(url)
    if (document !== undefined) return void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(document))
    if (this.health === 0) return
    response.writeHead(url.endsWith('/ready') || url === '/v1/models' ? this.health : 404).end()
  }
}

/** The server at a port that nobody listens on. */
export async function goneAddress(): Promise<string> {
  const one = await FakeUpstream.open()
  const { url } = one
  await one.close()
  return url
}

/** Writes bytes to the connection as they are: for answers that a well-behaved server cannot be made to give. */
export function raw(text: string, then: 'end' | 'reset' | 'stay' = 'stay'): (asked: Asked) => void {
  return ({ socket }) => {
    socket.write(text, () => {
      if (then === 'end') socket.end()
      else if (then === 'reset') socket.resetAndDestroy()
    })
  }
}

export function json(value: unknown, status = 200, headers: Record<string, string> = {}): (asked: Asked) => void {
  return ({ response }) => response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value))
}

export type Settings = Partial<Omit<UpstreamConfiguration, 'health' | 'outlier'>> & {
  readonly health?: Partial<UpstreamConfiguration['health']>
  readonly outlier?: Partial<UpstreamConfiguration['outlier']>
}

/** What opening a pool takes, and what comes of it: lines of the log, and its metrics. */
export interface Opening {
  readonly options: UpstreamOptions & { readonly monotonic: () => number }
  readonly clock: { now: number }
  readonly lines: string[]
  readonly metrics: Registry
}

/** A pool `p` over these endpoints, serving `tiny`. Checks come once and then not for a long time, unless a test says so. */
export function opening(protocol: 'oip' | 'openai', endpoints: readonly string[], settings: Settings = {}): Opening {
  const lines: string[] = []
  const metrics = new Registry()
  const clock = { now: 0 }
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) })
  const pool = PoolConfiguration.parse({
    name: 'p',
    models: ['tiny'],
    concurrency: 4,
    upstream: { protocol, endpoints, ...settings, health: { intervalMs: 3_600_000, timeoutMs: 10_000, ...settings.health } },
  })
  const options = { pool, token: 'upstream-secret', ca: null, clock: () => 1_800_000_000_000, monotonic: () => clock.now, log, metrics }
  return { options, clock, lines, metrics }
}

const cancellations: RequestCancellation[] = []
after(() => {
  for (const one of cancellations) one.end()
})

export function cancellation(ms = 20_000): RequestCancellation {
  const one = new RequestCancellation(performance.now() + ms)
  cancellations.push(one)
  return one
}

export function inferCall(change: Partial<InferCall> = {}): InferCall {
  return {
    model: 'tiny',
    version: '1',
    pool: 'p',
    inputs: [],
    items: 1,
    outputs: ['y'],
    raw: { body: Buffer.from('{"inputs":[]}'), jsonBytes: null },
    headers: {},
    cancellation: cancellation(),
    ...change,
  }
}

export function textCall(change: Partial<TextCall> = {}): TextCall {
  const request = { model: 'tiny', messages: [{ role: 'user', content: 'hello' }] }
  return {
    operation: 'chat',
    model: 'tiny',
    version: '1',
    pool: 'p',
    request,
    body: Buffer.from(JSON.stringify(request)),
    stream: false,
    headers: {},
    cancellation: cancellation(),
    ...change,
  }
}

/** The code that something was refused with. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'none'
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error)
  }
}
