import fastify, { type FastifyInstance, LogController } from 'fastify'
import type { Context } from './context.ts'
import { listening, urlOf } from './listen.ts'

/** A listener with `/health` and `/metrics` alone, which need no token; null where none is configured. */
export async function serveHealth(context: Context): Promise<string | null> {
  const { host, port } = context.config.metrics
  if (port === null) return null
  const app = bareListener(context)
  await listening('metrics', { host, port }, () => app.listen({ host, port }))
  return urlOf(app, host)
}

/** Closed with the process. */
export function bareListener({ registry, log, closers }: Context): FastifyInstance {
  const app = fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    requestTimeout: 30_000,
  }) as unknown as FastifyInstance
  // Up means that this process runs; how its role does is told by its heartbeats.
  app.get('/health', async () => ({ status: 'up' }))
  app.get('/metrics', async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()))
  app.setNotFoundHandler((_request, reply) =>
    reply
      .code(404)
      .type('application/problem+json')
      .send({ type: 'about:blank', title: 'Not Found', status: 404, error: 'there is nothing here' }),
  )
  closers.add('listener', () => app.close())
  return app
}
