import type { FastifyInstance, FastifyRequest } from 'fastify'
import { readHeaderLength } from '../../oip/envelope.ts'
import { OipError } from '../../oip/errors.ts'
import type { ModelInfo, RawInference } from '../../port.ts'
import { departure, servedBy } from '../departure.ts'
import { exchangeOf, type ModelRoutes, recordExchanges } from '../model-routes.ts'
import { Refusal, refusalOfStatus } from '../refusal.ts'
import { configurationOf, metadataOf, statisticsOf } from './descriptions.ts'
import { infer, type OipParts } from './infer.ts'

type ModelParams = { Params: { model: string; version?: string } }

/**
 * Open Inference Protocol v2 under `/v2/models` and `/v2/repository`, with Triton's extensions for binary tensors,
 * classification, model configuration, statistics, and the repository's index: all of it needs a key, and all of it is recorded.
 */
export async function oipRoutes(app: FastifyInstance, parts: ModelRoutes & OipParts): Promise<void> {
  const { service, limits } = parts
  recordExchanges(app, parts, {
    dialect: 'oip',
    withinMs: limits.inferMs,
    operationOf: () => 'infer',
    modelOf: (request) => (request as FastifyRequest<{ Params: { model?: string } }>).params.model ?? null,
  })
  const resolve = (request: FastifyRequest<ModelParams>): ModelInfo => {
    const { model, version } = request.params
    return service.resolve(exchangeOf(request), model, version)
  }
  for (const path of ['/v2/models/:model', '/v2/models/:model/versions/:version']) {
    app.get<ModelParams>(path, async (request) => {
      const model = resolve(request)
      return metadataOf(model, service.versionsOf(model.name))
    })
    app.get<ModelParams>(`${path}/ready`, async (request) => {
      const model = resolve(request)
      service.checkReady(model)
      return { name: model.name, ready: true }
    })
    app.get<ModelParams>(`${path}/config`, async (request) => {
      const model = resolve(request)
      return configurationOf(model, parts.configurationOf(model.name), limits.maxItems)
    })
    app.get<ModelParams>(`${path}/stats`, async (request) => {
      const model = resolve(request)
      const named = request.params.version !== undefined
      return modelStatistics(parts, ({ name, version }) => name === model.name && (!named || version === model.version))
    })
    app.post<ModelParams>(`${path}/infer`, async (request, reply) => {
      const exchange = exchangeOf(request)
      const model = resolve(request)
      const { raw, headers, floorMs } = await infer(parts, exchange, model, rawOf(request))
      if (floorMs !== undefined) await departure(exchange, floorMs)
      if (raw.jsonBytes !== null) reply.header('inference-header-content-length', raw.jsonBytes)
      const type = raw.jsonBytes === null ? 'application/json; charset=utf-8' : 'application/octet-stream'
      reply.headers(headers).headers(servedBy(exchange)).type(type)
      // Not the reply: it leaves later, with its event, and whoever awaits it listens for that.
      return bufferOf(raw.body)
    })
  }
  app.get('/v2/models/stats', async () => modelStatistics(parts, () => true))
  repositoryRoutes(app, parts)
}

/** Whoever runs the node says what it loads; a client may look. */
function repositoryRoutes(app: FastifyInstance, { service }: OipParts): void {
  app.post('/v2/repository/index', async () => service.list().map(({ name, version }) => ({ name, version, state: 'READY', reason: '' })))
  for (const what of ['load', 'unload']) {
    app.post(`/v2/repository/models/:model/${what}`, async () => {
      throw new Refusal('DENIED', 'Models are loaded by whoever runs the node.')
    })
  }
}

/** Of models that run here; what runs elsewhere is counted there. */
function modelStatistics({ runtime }: OipParts, wanted: (info: ModelInfo) => boolean): object {
  const known = runtime.list().flatMap((info) => {
    const statistics = wanted(info) ? runtime.statistics(info.name, info.version) : undefined
    return statistics === undefined ? [] : [statisticsOf(info, statistics)]
  })
  return { model_stats: known }
}

/** JSON or binary, said to be so or not said at all: Triton's client says nothing. What it is, the header length tells. */
function rawOf({ headers, body }: FastifyRequest): RawInference {
  const type = headers['content-type']
  if (type !== undefined && !/^application\/(json|octet-stream)\s*(;|$)/i.test(type)) throw refusalOfStatus(415, undefined)
  if (!Buffer.isBuffer(body)) throw refusalOfStatus(400, undefined)
  const length = headers['inference-header-content-length']
  try {
    return { body, jsonBytes: readHeaderLength(typeof length === 'string' ? length : undefined, body.length) }
  } catch (error) {
    if (error instanceof OipError) throw new Refusal('MALFORMED', error.message, { cause: error })
    throw error
  }
}

function bufferOf(body: Uint8Array): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.length)
}
