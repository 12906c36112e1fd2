import type { FastifyInstance } from 'fastify'
import type { ModelInfo } from '../../port.ts'
import { exchangeOf, recordExchanges } from '../model-routes.ts'
import { Refusal } from '../refusal.ts'
import { complete, resolve } from './complete.ts'
import type { OpenaiParts } from './parts.ts'

const operations = {
  '/v1/chat/completions': 'chat',
  '/v1/completions': 'completion',
  '/v1/embeddings': 'embedding',
} as const

/**
 * The OpenAI API under `/v1`: all of it needs a key, and all of it is recorded. The path of a request, with its exits:
 *
 * ```
 *  headers, key      401 · 403 · 429 · 503                (as for the Open Inference Protocol, node.ts)
 *  body              415 not JSON · 413 too large · 400 not well formed
 *    model           404 model_not_found
 *    fields, bounds  400 the field is in `param`
 *    texts           400 personal data or invisible characters, where the model takes none
 *    capacity        429 · 503                            (Retry-After, on which SDKs wait)
 *  model is asked    502 it failed · 504 too late · 4xx its own refusal, passed on
 *  answer            502 tool_call_invalid, where its tool calls are checked
 *    first byte      after it an `error` event, and the connection ends before the body does
 *  event to the spool, then the last byte
 * ```
 */
export async function openaiRoutes(app: FastifyInstance, parts: OpenaiParts): Promise<void> {
  recordExchanges(app, parts, {
    dialect: 'openai',
    withinMs: parts.limits.generateMs,
    operationOf: ({ routeOptions: { url } }) => Object.entries(operations).find(([path]) => path === url)?.[1] ?? 'chat',
    modelOf: () => null,
  })
  await app.register(elsewhere, { prefix: '/v1' })
  for (const [path, operation] of Object.entries(operations)) {
    app.post(path, (request, reply) => complete(parts, operation, request, reply))
  }
  app.get('/v1/models', async (request) => {
    exchangeOf(request)
    const byName = new Map(parts.text.list().map((info) => [info.name, info]))
    return { object: 'list', data: [...byName.values()].map(describe) }
  })
  app.get<{ Params: { model: string } }>('/v1/models/:model', async (request) =>
    describe(resolve(parts, exchangeOf(request), request.params.model)),
  )
}

/** The API has more than this: who asks for that needs a key too, and reads an error of the API. */
async function elsewhere(app: FastifyInstance): Promise<void> {
  app.setNotFoundHandler(() => {
    throw new Refusal('NOT_FOUND', 'There is nothing here: of the OpenAI API, the node has chat, completions, embeddings and models.')
  })
}

/** When a model was made is not known. */
function describe({ name }: ModelInfo) {
  return { id: name, object: 'model', created: 0, owned_by: 'cordon' }
}
