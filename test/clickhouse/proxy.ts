import { once } from 'node:events'
import { Agent, request as ask, createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'

/**
 * What happens to one request:
 * - `pass`
 * - `error`: 500, and the server never hears of it
 * - `slow`: it is sent on after `ms`
 * - `cut`: the server does it; of its answer comes the first half, and then the connection breaks
 * - `shorten`: the same, but with the look of a whole answer
 * - `lose`: the server does it, and the connection breaks without an answer: whether it was done is not known
 * - `hold`: the connection breaks at once, and the server is asked nevertheless, `ms` later
 */
export type Fault =
  | { readonly kind: 'pass' | 'error' | 'cut' | 'shorten' | 'lose' }
  | { readonly kind: 'slow' | 'hold'; readonly ms: number }

export interface Request {
  /** The statement's first word, in lower case; empty for a ping. */
  readonly verb: string
  readonly statement: string
}

export interface Proxy {
  readonly url: string
  /** Decides for each request from now on. */
  plan(fault: (request: Request) => Fault): void
  /** Requests by what happened to them. */
  counts(): Readonly<Record<string, number>>
  /** What the server answered to requests that were held, in order. */
  readonly heldAnswers: readonly string[]
  /** Takes no connections, and breaks those it has. */
  leave(): Promise<void>
  /** Takes connections again, at the same port. */
  comeBack(): Promise<void>
  close(): Promise<void>
}

export const pass: Fault = { kind: 'pass' }

/** Stands between a client and a ClickHouse server, and does to their talk what is planned. Harmless until told. */
export async function startProxy(target: string): Promise<Proxy> {
  const proxy = new FaultyProxy(new URL(target))
  await proxy.comeBack()
  return proxy
}

class FaultyProxy implements Proxy {
  readonly #target: URL
  readonly #agent = new Agent({ keepAlive: false })
  readonly #counts: Record<string, number> = {}
  readonly heldAnswers: string[] = []
  #server: Server | undefined
  #port = 0
  #plan: (request: Request) => Fault = () => pass

  constructor(target: URL) {
    this.#target = target
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  plan(fault: (request: Request) => Fault): void {
    this.#plan = fault
  }

  counts(): Readonly<Record<string, number>> {
    return { ...this.#counts }
  }

  async comeBack(): Promise<void> {
    const server = createServer((request, response) => {
      this.#handle(request, response).catch(() => response.destroy())
    })
    server.listen(this.#port, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (typeof address === 'object' && address !== null) this.#port = address.port
    this.#server = server
  }

  async leave(): Promise<void> {
    const server = this.#server
    if (server === undefined) return
    this.#server = undefined
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  }

  async close(): Promise<void> {
    await this.leave()
    this.#agent.destroy()
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(request)
    const fault = this.#plan(requestOf(request, body))
    this.#counts[fault.kind] = (this.#counts[fault.kind] ?? 0) + 1
    if (fault.kind === 'error') return void response.writeHead(500).end('out of order')
    if (fault.kind === 'hold') return this.#hold(request, response, body, fault.ms)
    if (fault.kind === 'slow') await delay(fault.ms)
    const answer = await this.#forward(request, body)
    if (fault.kind === 'lose') return void response.destroy()
    const headers = { ...answer.headers, 'content-length': String(answer.body.length), connection: 'close' }
    if (fault.kind === 'cut') {
      response.writeHead(answer.status, { ...headers, 'content-length': String(answer.body.length + 1) })
      response.write(answer.body.subarray(0, answer.body.length / 2), () => response.destroy())
      return
    }
    const part = fault.kind === 'shorten' ? answer.body.subarray(0, answer.body.length / 2) : answer.body
    response.writeHead(answer.status, { ...headers, 'content-length': String(part.length) }).end(part)
  }

  async #hold(request: IncomingMessage, response: ServerResponse, body: Buffer, ms: number): Promise<void> {
    response.destroy()
    await delay(ms)
    this.heldAnswers.push((await this.#forward(request, body)).body.toString())
  }

  async #forward({ method, url, headers }: IncomingMessage, body: Buffer): Promise<Answer> {
    const { hostname, port } = this.#target
    const own = { ...headers, 'content-length': String(body.length), connection: 'close' }
    delete (own as Record<string, unknown>)['transfer-encoding']
    const onward = ask({ hostname, port, method, path: url, headers: own, agent: this.#agent })
    onward.end(body)
    const [answer] = (await once(onward, 'response')) as [IncomingMessage]
    const kept = Object.entries(answer.headers).filter(([name]) => name.startsWith('x-clickhouse') || name.startsWith('content-'))
    return { status: answer.statusCode ?? 500, headers: Object.fromEntries(kept), body: await buffer(answer) }
  }
}

interface Answer {
  readonly status: number
  readonly headers: Record<string, string | string[] | undefined>
  readonly body: Buffer
}

function requestOf(request: IncomingMessage, body: Buffer): Request {
  const text = (request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body).toString('utf8', 0, 400)
  const query = new URL(request.url ?? '/', 'http://proxy').searchParams.get('query') ?? ''
  const statement = `${query}${text}`.trim()
  return { statement, verb: /^\w+/.exec(statement)?.[0].toLowerCase() ?? '' }
}
