import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Logger } from 'pino'
import type { Exchange } from './exchange.ts'
import type { NodeLimits } from './options.ts'
import { Refusal, refusalOfStatus, refusalType } from './refusal.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Set on routes of models. */
    exchange: Exchange | null
  }
}

/** A Fastify application with our bounds, JSON alone as the body, and every error as a problem. */
export function openApp(limits: NodeLimits, log: Logger): FastifyInstance {
  const app = Fastify({
    logger: false,
    bodyLimit: limits.maxBodyBytes,
    connectionTimeout: limits.requestMs + limits.inferMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
    // Checked below, to answer with a problem.
    http: {
      maxHeaderSize: limits.maxHeaderBytes,
      headersTimeout: limits.headersMs,
      requireHostHeader: false,
      connectionsCheckingInterval: Math.min(limits.headersMs, 1_000),
    },
    routerOptions: { maxParamLength: 512 },
    return503OnClosing: false,
    clientErrorHandler: (error, socket) => {
      if (error.code === 'ECONNRESET' || !socket.writable) return socket.destroy()
      endWith(socket, refusalOfStatus(clientErrorStatus(error.code), error))
    },
    frameworkErrors: (error, _request, reply) => {
      sendRefusal(reply, refusalOfStatus(error.statusCode, error), null)
    },
  })
  app.server.maxConnections = limits.maxConnections
  // Node answers these two by itself, with an empty body or with nothing.
  app.server.on('connect', (_request, socket) => endWith(socket, refusalOfStatus(400, undefined)))
  app.server.on('checkExpectation', (request) => endWith(request.socket, refusalOfStatus(417, undefined)))
  app.addHook('onRequest', async (request) => {
    if (request.raw.httpVersion === '1.1' && request.headers.host === undefined) throw refusalOfStatus(400, undefined)
  })
  app.decorateRequest('exchange', null)
  app.setErrorHandler((error: FastifyError, request, reply) => sendRefusal(reply, asRefusal(error, request, log), request.exchange))
  app.setNotFoundHandler((_request, reply) => sendRefusal(reply, refusalOfStatus(404, undefined), null))
  takeBytes(app)
  return app
}

function sendRefusal(reply: FastifyReply, refusal: Refusal, exchange: Exchange | null): FastifyReply {
  const dialect = exchange?.dialect ?? 'oip'
  return reply
    .code(refusal.status)
    .headers(refusal.details.headers ?? {})
    .type(refusalType[dialect])
    .send(refusal.body(dialect))
}

function asRefusal(error: FastifyError, { exchange, routeOptions }: FastifyRequest, log: Logger): Refusal {
  const refusal = error instanceof Refusal ? error : refusalOfStatus(error.statusCode, error)
  if (refusal.code === 'FAILED') log.error({ err: error, route: routeOptions.url }, 'node: a request failed')
  if (exchange !== null) {
    exchange.outcome = refusal.outcome
    exchange.lease = refusal.details.lease ?? null
    exchange.hardening = 'none'
    exchange.version = null
    exchange.fingerprints = []
    exchange.confidence = null
  }
  return refusal
}

/** Bodies come as bytes; whoever has a route reads them, and says which types it takes. */
function takeBytes(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser<Buffer>('*', { parseAs: 'buffer' }, (request, body, done) => {
    if (request.exchange !== null) request.exchange.bytesIn = body.length
    done(null, body)
  })
}

function clientErrorStatus(code: string | undefined): number {
  if (code === 'HPE_HEADER_OVERFLOW') return 431
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400
}

/** For requests that never became one: there is no reply object yet. */
function endWith(socket: Duplex, refusal: Refusal): void {
  socket.end(rawProblem(refusal), () => socket.destroy())
}

function rawProblem(refusal: Refusal): string {
  const body = refusal.body('oip')
  const head = [
    `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status]}`,
    `content-type: ${refusalType.oip}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ]
  return `${head.join('\r\n')}\r\n\r\n${body}`
}
