import { performance } from 'node:perf_hooks'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Instant, Operation } from '../../schemas/index.ts'
import type { DeadlineWatch } from '../deadline-watch.ts'
import { credentialsOf } from './authentication.ts'
import type { Bodies } from './bodies.ts'
import type { Call, Connections } from './connections.ts'
import { type Dialect, type Exchange, newExchange } from './exchange.ts'
import { busy } from './pools.ts'
import type { Recorder } from './recorder.ts'
import { type Metering, settle } from './reservation.ts'
import type { Service } from './service.ts'
import { clientCertificateOf } from './tls.ts'
import type { Tracing } from './tracing.ts'

declare module 'fastify' {
  interface FastifyRequest {
    call: Call | null
  }
}

export interface ModelRoutes {
  readonly service: Service
  readonly recorder: Recorder
  readonly tracing: Tracing
  readonly clock: () => Instant
  readonly metering: Metering | undefined
  readonly closing: () => boolean
  readonly onRecordError: (error: unknown) => void
  readonly bodies: Bodies
  readonly connections: Connections
  readonly watch: DeadlineWatch
  /** Requests on one connection that may wait for their answers. */
  readonly maxPipelined: number
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
 * where the client goes away first, it is written then. Whatever way a request ends, {@link finish} is where what it held is
 * given back: its body's bytes and its deadline; its place in a pool is given back by who took it.
 */
export function recordExchanges(app: FastifyInstance, parts: ModelRoutes, protocol: Protocol): void {
  const { service, tracing, clock, closing } = parts
  app.addHook('onRequest', async (request, reply) => {
    const { headers } = request
    const { dialect, withinMs } = protocol
    const trace = tracing.begin({ traceparent: textOf(headers['traceparent']), tracestate: textOf(headers['tracestate']) })
    const operation = protocol.operationOf(request)
    const from = { address: request.ip ?? '', purpose: textOf(headers['x-cordon-purpose']) ?? null }
    const exchange = newExchange({ arrivedAt: clock(), startedAt: performance.now(), dialect, operation, trace, ...from, withinMs })
    request.exchange = exchange
    exchange.bytesIn = declaredLength(headers['content-length'])
    exchange.model = protocol.modelOf(request)
    const depth = follow(parts, request, reply, exchange)
    if (depth > parts.maxPipelined) {
      reply.header('connection', 'close')
      throw busy('OVERLOADED', 1)
    }
    if (closing()) throw busy('OVERLOADED', 1)
    const entering = service.enter(
      exchange,
      credentialsOf(headers, exchange.address, clientCertificateOf(request.raw.socket)),
      request.method === 'POST',
    )
    if (entering !== undefined) await entering
    parts.bodies.expect(request, exchange)
  })
  app.addHook('onSend', (request, reply, payload, done) => {
    if (request.exchange !== null && !isStream(payload)) {
      if (typeof payload === 'string') request.exchange.bytesOut = Buffer.byteLength(payload)
      else if (payload instanceof Uint8Array) request.exchange.bytesOut = payload.length
      if (record(parts, request, reply.statusCode)) return parts.recorder.whenWritten(() => depart(parts, reply, done))
    }
    done()
  })
}

/** Sends the answer; what goes wrong now has nobody else to tell. */
function depart({ onRecordError }: ModelRoutes, { raw }: FastifyReply, send: () => void): void {
  try {
    send()
  } catch (error) {
    raw.destroy()
    onRecordError(error)
  }
}

/** Looks after its deadline and its connection until it is finished. @returns how many requests its connection has now */
function follow(parts: ModelRoutes, request: FastifyRequest, reply: FastifyReply, exchange: Exchange): number {
  const call: Call = { reply, lost: () => leave(parts, request, exchange), expire: () => exchange.cancellation.expire() }
  request.call = call
  exchange.cancellation.watched()
  parts.watch.add(exchange.cancellation)
  return parts.connections.add(request.raw.socket, call)
}

/** Writes the event of a request, once, and ends its trace. It is in the spool when this returns. */
export function finish(parts: ModelRoutes, request: FastifyRequest, status: number): void {
  if (record(parts, request, status)) parts.recorder.flush()
}

/** The same, but for the spool. @returns false where it was recorded before */
function record(parts: ModelRoutes, request: FastifyRequest, status: number): boolean {
  const { recorder, tracing, onRecordError, bodies, connections, watch, clock, metering } = parts
  const exchange = exchangeOf(request)
  if (exchange.recorded) return false
  exchange.recorded = true
  watch.delete(exchange.cancellation)
  exchange.cancellation.end()
  if (request.call !== null) connections.delete(request.raw.socket, request.call)
  bodies.release(request)
  try {
    // Who was gone before it was accepted has no address.
    const address: string | undefined = request.ip
    recorder.record(exchange, status, { address: address ?? '', agent: request.headers['user-agent'] ?? '' })
  } catch (error) {
    onRecordError(error)
  } finally {
    settle(metering, exchange, clock())
  }
  tracing.end(exchange, status)
  return true
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
