import { performance } from 'node:perf_hooks'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Registry } from 'prom-client'
import type { Instant } from '../../schemas/index.ts'
import type { ModelInfo } from '../port.ts'
import { type Exchange, newExchange } from './exchange.ts'
import { busy } from './pools.ts'
import type { Recorder } from './recorder.ts'
import { refusalOfStatus } from './refusal.ts'
import type { Service } from './service.ts'

export interface ModelRoutes {
  readonly service: Service
  readonly recorder: Recorder
  readonly clock: () => Instant
  readonly closing: () => boolean
  readonly onRecordError: (error: unknown) => void
}

type ModelParams = { Params: { model: string; version?: string } }

/** Open Inference Protocol v2 under `/v2/models`: all of it needs a key, and all of it is recorded. */
export async function modelRoutes(app: FastifyInstance, { service, recorder, clock, closing, onRecordError }: ModelRoutes): Promise<void> {
  app.addHook<ModelParams>('onRequest', async (request) => {
    const exchange = newExchange(clock(), performance.now(), declaredLength(request.headers['content-length']))
    request.exchange = exchange
    exchange.model = request.params.model
    if (closing()) throw busy('OVERLOADED', 1)
    service.enter(exchange, request.headers.authorization, request.method === 'POST')
    const encoding = request.headers['content-encoding']
    if (encoding !== undefined && encoding !== 'identity') throw refusalOfStatus(415, undefined)
  })
  app.addHook('onSend', (request, reply, payload, done) => {
    // Else the client keeps an idle connection that closing would wait for.
    if (closing()) reply.header('connection', 'close')
    if (request.exchange !== null) {
      const bytes = typeof payload === 'string' ? Buffer.byteLength(payload) : 0
      const peer = { address: request.ip, agent: request.headers['user-agent'] ?? '' }
      try {
        recorder.record(request.exchange, reply.statusCode, bytes, peer)
      } catch (error) {
        onRecordError(error)
      }
    }
    done()
  })
  for (const path of ['/v2/models/:model', '/v2/models/:model/versions/:version']) {
    app.get<ModelParams>(path, async (request) => describe(resolve(service, request), service))
    app.get<ModelParams>(`${path}/ready`, async (request) => {
      const model = resolve(service, request)
      service.checkReady(model)
      return { name: model.name, ready: true }
    })
    app.post<ModelParams>(`${path}/infer`, async (request, reply) => {
      const model = resolve(service, request)
      const { body, headers } = await service.infer(exchangeOf(request), model, request.body)
      return reply.headers(headers).type('application/json; charset=utf-8').send(body)
    })
  }
}

/** What a refused body would have had; the bytes themselves are counted where it is read. */
function declaredLength(header: string | undefined): number {
  const length = Number(header ?? 0)
  return Number.isSafeInteger(length) && length >= 0 ? length : 0
}

function resolve(service: Service, request: FastifyRequest<ModelParams>): ModelInfo {
  const { model, version } = request.params
  return service.resolve(exchangeOf(request), model, version)
}

function exchangeOf({ exchange }: { exchange: Exchange | null }): Exchange {
  if (exchange === null) throw new Error('a model route without its onRequest hook')
  return exchange
}

function describe(model: ModelInfo, service: Service): object {
  const { name, platform, inputs, outputs } = model
  return { name, versions: service.versionsOf(name), platform, inputs, outputs }
}

export interface OpenRoutes {
  readonly version: string
  readonly backend: string
  readonly registry: Registry
  readonly ready: () => boolean
  readonly status: () => { readonly ok: boolean; readonly summary: string }
}

/**
 * Families that anybody may read. The registry is the whole process's, and a client who could count findings, leases or
 * events that are not its own would know at once that it was seen; the console's `/metrics` has all of them.
 */
const told = /^cordon_(process|nodejs|runtime|requests?|fingerprint)_/

/** What needs no key: it says nothing about models, clients or containment. */
export function openRoutes(app: FastifyInstance, { version, backend, registry, ready, status }: OpenRoutes): void {
  app.get('/v2', async () => ({ name: 'cordon', version, extensions: [], backend }))
  app.get('/v2/health/live', async () => ({ live: true }))
  app.get('/v2/health/ready', async () => {
    if (!ready()) throw busy('OVERLOADED', 1)
    return { ready: true }
  })
  app.get('/health', async (_request, reply) => {
    const { ok, summary } = status()
    return reply.code(ready() ? 200 : 503).send(ready() ? { ok, summary } : { ok, summary, error: summary })
  })
  app.get('/metrics', async (_request, reply) => {
    const names = registry.getMetricsAsArray().flatMap(({ name }) => (told.test(name) ? [name] : []))
    const families = await Promise.all(names.map((name) => registry.getSingleMetricAsString(name)))
    return reply.type(registry.contentType).send(`${families.join('\n\n')}\n`)
  })
}
