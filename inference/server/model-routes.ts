import { performance } from 'node:perf_hooks'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Instant, Operation } from '../../schemas/index.ts'
import { type Dialect, type Exchange, newExchange } from './exchange.ts'
import { busy } from './pools.ts'
import type { Recorder } from './recorder.ts'
import { refusalOfStatus } from './refusal.ts'
import type { Service } from './service.ts'
import type { Tracing } from './tracing.ts'

export interface ModelRoutes {
  readonly service: Service
  readonly recorder: Recorder
  readonly tracing: Tracing
  readonly clock: () => Instant
  readonly closing: () => boolean
  readonly onRecordError: (error: unknown) => void
}

export interface Protocol {
  readonly dialect: Dialect
  /** How long an answer may take in all, milliseconds. */
  readonly withinMs: number
  readonly operationOf: (request: FastifyRequest) => Operation
  /** The model that the address names, if it names one. */
  readonly modelOf: (request: FastifyRequest) => string | null
}

/**
 * What all routes of models have in common: they need a key, and each request leaves one event. It is written before
 * the answer is handed over; where the answer is a stream, the route writes it before the last piece, by {@link finish};
 * where the client goes away first, it is written then.
 */
export function recordExchanges(app: FastifyInstance, parts: ModelRoutes, protocol: Protocol): void {
  const { service, tracing, clock, closing } = parts
  app.addHook('onRequest', async (request, reply) => {
    const { headers } = request
    const { dialect, withinMs } = protocol
    const trace = tracing.begin({ traceparent: textOf(headers['traceparent']), tracestate: textOf(headers['tracestate']) })
    const operation = protocol.operationOf(request)
    const exchange = newExchange({ arrivedAt: clock(), startedAt: performance.now(), dialect, operation, trace, withinMs })
    request.exchange = exchange
    exchange.bytesIn = declaredLength(headers['content-length'])
    exchange.model = protocol.modelOf(request)
    reply.raw.once('close', () => leave(parts, request, exchange))
    if (closing()) throw busy('OVERLOADED', 1)
    service.enter(exchange, headers.authorization, request.method === 'POST')
    const encoding = headers['content-encoding']
    if (encoding !== undefined && encoding !== 'identity') throw refusalOfStatus(415, undefined)
  })
  app.addHook('onSend', (request, reply, payload, done) => {
    // Else the client keeps an idle connection that closing would wait for.
    if (closing()) reply.header('connection', 'close')
    if (request.exchange !== null && !isStream(payload)) {
      if (typeof payload === 'string') request.exchange.bytesOut = Buffer.byteLength(payload)
      else if (payload instanceof Uint8Array) request.exchange.bytesOut = payload.length
      finish(parts, request, reply.statusCode)
    }
    done()
  })
}

/** Writes the event of a request, once, and ends its trace. */
export function finish({ recorder, tracing, onRecordError }: ModelRoutes, request: FastifyRequest, status: number): void {
  const exchange = exchangeOf(request)
  if (exchange.recorded) return
  exchange.recorded = true
  exchange.cancellation.end()
  try {
    recorder.record(exchange, status, { address: request.ip, agent: request.headers['user-agent'] ?? '' })
  } catch (error) {
    onRecordError(error)
  }
  tracing.end(exchange, status)
}

/** The connection is at its end: where nothing was recorded yet, the client went away first. */
function leave(parts: ModelRoutes, request: FastifyRequest, exchange: Exchange): void {
  if (exchange.recorded) return
  exchange.cancellation.abort()
  exchange.outcome = 'aborted'
  finish(parts, request, 499)
}

export function exchangeOf({ exchange }: { exchange: Exchange | null }): Exchange {
  if (exchange === null) throw new Error('a model route without its onRequest hook')
  return exchange
}

function isStream(payload: unknown): boolean {
  return typeof payload === 'object' && payload !== null && !(payload instanceof Uint8Array)
}

/** What a refused body would have had; the bytes themselves are counted where it is read. */
function declaredLength(header: string | undefined): number {
  const length = Number(header ?? 0)
  return Number.isSafeInteger(length) && length >= 0 ? length : 0
}

function textOf(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' ? header : undefined
}
