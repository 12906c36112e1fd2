import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import type { ServedConfiguration } from '../../configuration.ts'
import type { TextRuntime } from '../../port.ts'
import type { NodeMetrics } from '../metrics.ts'
import { exchangeOf, type ModelRoutes, recordExchanges } from '../model-routes.ts'
import type { NodeLimits } from '../options.ts'

export interface OpenaiParts {
  readonly text: TextRuntime
  readonly configurationOf: (model: string) => ServedConfiguration
  readonly limits: NodeLimits
  readonly metrics: NodeMetrics
  readonly log: Logger
}

/** The OpenAI API under `/v1`: all of it needs a key, and all of it is recorded. */
export async function openaiRoutes(app: FastifyInstance, parts: ModelRoutes & OpenaiParts): Promise<void> {
  recordExchanges(app, parts, {
    dialect: 'openai',
    withinMs: parts.limits.generateMs,
    operationOf: () => 'chat',
    modelOf: () => null,
  })
  app.get('/v1/models', async (request) => {
    exchangeOf(request)
    const data = parts.text.list().map(({ name }) => ({ id: name, object: 'model', created: 0, owned_by: 'cordon' }))
    return { object: 'list', data }
  })
}
