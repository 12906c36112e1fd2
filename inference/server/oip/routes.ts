import type { FastifyInstance, FastifyRequest } from 'fastify'
import { parse } from 'secure-json-parse'
import type { ModelInfo } from '../../port.ts'
import { exchangeOf, type ModelRoutes, recordExchanges } from '../model-routes.ts'
import { refusalOfStatus } from '../refusal.ts'
import { infer, type OipParts } from './infer.ts'

type ModelParams = { Params: { model: string; version?: string } }

/** Open Inference Protocol v2 under `/v2/models`: all of it needs a key, and all of it is recorded. */
export async function oipRoutes(app: FastifyInstance, parts: ModelRoutes & OipParts): Promise<void> {
  const { service, limits } = parts
  recordExchanges(app, parts, {
    dialect: 'oip',
    withinMs: limits.inferMs,
    operationOf: () => 'infer',
    modelOf: (request) => (request as FastifyRequest<ModelParams>).params.model,
  })
  const resolve = (request: FastifyRequest<ModelParams>): ModelInfo => {
    const { model, version } = request.params
    return service.resolve(exchangeOf(request), model, version)
  }
  for (const path of ['/v2/models/:model', '/v2/models/:model/versions/:version']) {
    app.get<ModelParams>(path, async (request) => {
      const { name, platform, inputs, outputs } = resolve(request)
      const tensor = ({ name, datatype, shape }: ModelInfo['inputs'][number]) => ({ name, datatype, shape })
      return { name, versions: service.versionsOf(name), platform, inputs: inputs.map(tensor), outputs: outputs.map(tensor) }
    })
    app.get<ModelParams>(`${path}/ready`, async (request) => {
      const model = resolve(request)
      service.checkReady(model)
      return { name: model.name, ready: true }
    })
    app.post<ModelParams>(`${path}/infer`, async (request, reply) => {
      const exchange = exchangeOf(request)
      const model = resolve(request)
      const { body, headers } = await infer(parts, exchange, model, jsonOf(request), request.body as Buffer)
      return reply.headers(headers).type('application/json; charset=utf-8').send(body)
    })
  }
}

/** JSON, said to be so or not said at all (Triton's client says nothing). `__proto__` and `constructor` keys are refused. */
function jsonOf({ headers, body }: FastifyRequest): unknown {
  const type = headers['content-type']
  if (type !== undefined && !/^application\/json\s*(;|$)/i.test(type)) throw refusalOfStatus(415, undefined)
  if (!Buffer.isBuffer(body)) throw refusalOfStatus(400, undefined)
  try {
    return parse(body.toString(), { protoAction: 'error', constructorAction: 'error' })
  } catch (error) {
    throw refusalOfStatus(400, error)
  }
}
