import { type IncomingMessage, type RequestListener, type Server, type ServerOptions, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Logger } from 'pino'
import type { Bodies } from './bodies.ts'
import type { Connections } from './connections.ts'
import type { Dialect, Exchange } from './exchange.ts'
import { checkHeaders } from './headers.ts'
import type { NodeLimits } from './options.ts'
import { busy } from './pools.ts'
import { Refusal, refusalOfStatus, refusalType } from './refusal.ts'
import type { Tls } from './tls.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Set on routes of models. */
    exchange: Exchange | null
  }
}

/** Connections beyond the limit that are told so; what comes on top of them is closed without a word. */
const toldConnections = 64

export interface AppParts {
  readonly limits: NodeLimits
  readonly bodies: Bodies
  readonly connections: Connections
  /** Whether clients are to come back over another connection. */
  readonly leaving: () => boolean
  readonly log: Logger
  /** Whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: readonly string[]
  /** Undefined for plain HTTP. */
  readonly tls: Tls | undefined
}

/** A Fastify application with our bounds, bytes as the body, and every error in the client's dialect. */
export function openApp({ limits, bodies, connections, leaving, log, trustedProxies, tls }: AppParts): FastifyInstance {
  // Checked below, to answer with a problem.
  const http = {
    maxHeaderSize: limits.maxHeaderBytes,
    headersTimeout: limits.headersMs,
    requireHostHeader: false,
    connectionsCheckingInterval: Math.min(limits.headersMs, 1_000),
  }
  const app = Fastify({
    logger: false,
    trustProxy: trustedProxies.length === 0 ? false : [...trustedProxies],
    // An idle connection; what is at work on one is looked after below.
    connectionTimeout: limits.requestMs,
    // Bodies are timed by who reads them, and answered; this is for those that nobody reads.
    requestTimeout: limits.requestMs + 1_000,
    keepAliveTimeout: limits.keepAliveMs,
    maxRequestsPerSocket: limits.maxRequestsPerConnection,
    http,
    ...(tls === undefined ? {} : { serverFactory: (handler: RequestListener) => openSecureServer(tls, http, limits, handler) }),
    routerOptions: { maxParamLength: 512 },
    return503OnClosing: false,
    clientErrorHandler: (error, socket) => {
      if (error.code === 'ECONNRESET' || !socket.writable || connections.answering(socket)) return socket.destroy()
      endWith(socket, refusalOfStatus(clientErrorStatus(error.code), error))
    },
    frameworkErrors: (error, request, reply) => {
      sendRefusal(reply, refusalOfStatus(error.statusCode, error, dialectOf(request.raw.url)), dialectOf(request.raw.url))
    },
  })
  // Node leaves out what is beyond, without a word; one more than we take is enough to see that.
  app.server.maxHeadersCount = limits.maxHeaders + 1
  boundConnections(app, limits, connections, tls !== undefined)
  const continued = answerExpectations(app)
  refuseFramings(app, limits.maxHeaders)
  app.addHook('onSend', (_request, reply, _payload, done) => {
    // Else the client keeps an idle connection that closing would wait for.
    if (leaving()) reply.header('connection', 'close')
    done()
  })
  app.decorateRequest('exchange', null)
  app.decorateRequest('hold', null)
  app.decorateRequest('call', null)
  app.setErrorHandler((error: FastifyError, request, reply) => {
    // Whoever asked first whether to send its body may send it or not; only a new connection is sure to be understood.
    if (request.headers.expect !== undefined) reply.header('connection', 'close')
    const dialect = request.exchange?.dialect ?? dialectOf(request.url)
    return sendRefusal(reply, asRefusal(error, request, dialect, log), dialect)
  })
  app.setNotFoundHandler((request, reply) => {
    const dialect = dialectOf(request.url)
    return sendRefusal(reply, refusalOfStatus(404, undefined, dialect), dialect)
  })
  takeBytes(app, bodies, continued)
  return app
}

/** With the bounds that Fastify gives a server of its own. */
function openSecureServer(tls: Tls, http: ServerOptions, limits: NodeLimits, handler: RequestListener): Server {
  const server = tls.createServer({ ...http, handshakeTimeout: limits.headersMs }, handler)
  server.keepAliveTimeout = limits.keepAliveMs
  server.requestTimeout = limits.requestMs + 1_000
  server.maxRequestsPerSocket = limits.maxRequestsPerConnection
  server.setTimeout(limits.requestMs)
  return server
}

/** What comes behind a request that can be read in two ways may be a part of it: it is not run, and the connection is closed. */
function refuseFramings(app: FastifyInstance, maxHeaders: number): void {
  const closing = new WeakSet<Socket>()
  app.addHook('onRequest', (request, reply, done) => {
    const { socket, httpVersion } = request.raw
    // HTTP/1.0 knows no chunks, whatever `TE` says: a stream ends with its connection.
    if (httpVersion !== '1.1') reply.raw.useChunkedEncodingByDefault = false
    const refusal = closing.has(socket) ? refusalOfStatus(400, undefined) : checkHeaders(request.raw, maxHeaders)
    if (refusal !== undefined) {
      closing.add(socket)
      reply.header('connection', 'close')
    }
    done(refusal)
  })
}

/** Which words an address that leads nowhere is refused in. */
function dialectOf(url: string | undefined): Dialect {
  return url !== undefined && /^\/v1(?:[/?]|$)/.test(url) ? 'openai' : 'oip'
}

function sendRefusal(reply: FastifyReply, refusal: Refusal, dialect: Dialect): FastifyReply {
  return reply
    .code(refusal.status)
    .headers(refusal.details.headers ?? {})
    .type(refusalType[dialect])
    .send(refusal.body(dialect))
}

function asRefusal(error: FastifyError, { exchange, routeOptions }: FastifyRequest, dialect: Dialect, log: Logger): Refusal {
  const refusal = error instanceof Refusal ? error : refusalOfStatus(error.statusCode, error, dialect)
  if (refusal.code === 'FAILED') log.error({ err: error, route: routeOptions.url }, 'node: a request failed')
  if (exchange !== null && !exchange.recorded) {
    exchange.outcome = refusal.outcome
    exchange.lease = refusal.details.lease ?? null
    exchange.hardening = 'none'
    exchange.confidence = null
    // Who is refused for what the input lies near has shown the input: the detectors go on from there.
    if (refusal.code === 'THROTTLED') return refusal
    exchange.version = null
    exchange.fingerprints = []
  }
  return refusal
}

/** Bodies come as bytes; whoever has a route reads them, and says which types it takes. Where nobody does, they are not kept. */
function takeBytes(app: FastifyInstance, bodies: Bodies, continued: WeakMap<IncomingMessage, ServerResponse>): void {
  app.removeAllContentTypeParsers()
  // Those by name are found at once: Fastify reads anew what comes to '*'.
  app.addContentTypeParser(
    ['application/json', 'application/octet-stream', '*'],
    async (request: FastifyRequest, payload: IncomingMessage) => {
      const { exchange } = request
      if (exchange === null || request.hold === null) return undefined
      continued.get(request.raw)?.writeContinue()
      return bodies.read(request, payload, exchange)
    },
  )
}

/** Whoever asks before it sends its body is told to go on once its headers were found good, and not before. */
function answerExpectations({ server }: FastifyInstance): WeakMap<IncomingMessage, ServerResponse> {
  const continued = new WeakMap<IncomingMessage, ServerResponse>()
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    continued.set(request, response)
    server.emit('request', request, response)
  })
  // Node would answer these by itself, with an empty body.
  server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) => {
    const body = refusalOfStatus(417, undefined).body('oip')
    // Without its length it would be sent in chunks.
    const headers = { 'content-type': refusalType.oip, 'content-length': Buffer.byteLength(body), connection: 'close' }
    response.writeHead(417, headers).end(body)
  })
  return continued
}

function boundConnections({ server }: FastifyInstance, { maxConnections }: NodeLimits, connections: Connections, secure: boolean): void {
  let open = 0
  server.maxConnections = maxConnections + toldConnections
  server.on('connection', (socket: Socket) => {
    open++
    // It is known only while the connection is there, but to whom it was asked once it stays known: events of who left have it too.
    void socket.remoteAddress
    socket.once('close', () => open--)
    // Before the handshake there is no way to say it.
    if (open > maxConnections && secure) socket.destroy()
    else if (open > maxConnections) endWith(socket, busy('OVERLOADED', 1))
  })
  // Nothing moved for a while: not for who waits for a model; but who does not take its answer waits for nothing.
  server.on('timeout', (socket: Socket) => {
    if (connections.working(socket) && socket.writableLength === 0) socket.setTimeout(socket.timeout ?? 0)
    else socket.destroy()
  })
  server.on('connect', (_request: IncomingMessage, socket: Duplex) => endWith(socket, refusalOfStatus(400, undefined)))
}

function clientErrorStatus(code: string | undefined): number {
  if (code === 'HPE_HEADER_OVERFLOW') return 431
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400
}

/** For requests that never became one: there is no reply object yet. */
function endWith(socket: Duplex, refusal: Refusal): void {
  // Who went away meanwhile is not to be told.
  socket.on('error', () => socket.destroy())
  socket.end(rawProblem(refusal), () => socket.destroy())
}

function rawProblem(refusal: Refusal): string {
  const body = refusal.body('oip')
  const head = [
    `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status]}`,
    ...Object.entries(refusal.details.headers ?? {}).map(([name, value]) => `${name}: ${value}`),
    `content-type: ${refusalType.oip}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ]
  return `${head.join('\r\n')}\r\n\r\n${body}`
}
