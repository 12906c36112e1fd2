import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import fastify, { type FastifyInstance, type FastifyPluginCallback, LogController } from 'fastify'
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import { Door, type DoorOptions } from './door.ts'
import { ConsoleError, problemOf } from './errors.ts'
import type { ConsolePorts } from './port.ts'
import { containmentRoutes } from './routes/containments.ts'
import { deadLetterRoutes } from './routes/dead-letters.ts'
import { forensicRoutes } from './routes/forensics.ts'
import { incidentRoutes } from './routes/incidents.ts'
import { keyRoutes } from './routes/keys.ts'
import { limitRoutes } from './routes/limits.ts'
import { modelRoutes } from './routes/models.ts'
import { statusRoutes } from './routes/status.ts'
import { streamRoutes } from './routes/stream.ts'

export interface ConsoleOptions {
  readonly ports: ConsolePorts
  /** The machine's own credential. Compared in constant time. */
  readonly token: string
  /** Who else may come in; by default nobody. */
  readonly access?: Omit<DoorOptions, 'token'>
  readonly registry: Registry
  readonly log: Logger
  /** Routes of other rooms that share this listener and its authentication (the HTTP collector). */
  readonly plugins?: readonly FastifyPluginCallback[]
}

const allRoutes = [
  statusRoutes,
  incidentRoutes,
  containmentRoutes,
  keyRoutes,
  modelRoutes,
  limitRoutes,
  deadLetterRoutes,
  forensicRoutes,
  streamRoutes,
]

/** How long running requests may take to finish once the console closes. */
const closeMs = 3_000

const page = fileURLToPath(new URL('page/dist/', import.meta.url))

// The page is ours alone: no third-party origin, no framing, no inline script.
const headers: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src 'self' data:; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
}

/**
 * The analyst's console: the API under /api, the collector's routes, `/metrics`, `/health`, and the page.
 *
 * Path of a request: credential (401, 429, 503) → capability (403) → body bounds (413, 415) → contract (422) → second
 * factor where the action is privileged (403, 429) → policies where something is done (403, 503) → port (404, 422, 503) → answer. Everything but the page's own files,
 * `/health` and `/metrics` needs a credential.
 */
export async function createConsole(options: ConsoleOptions): Promise<FastifyInstance> {
  const { ports, log, registry } = options
  const app = fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: 262_144,
    requestTimeout: 30_000,
  }) as unknown as FastifyInstance
  app.setErrorHandler((error, _request, reply) => {
    const problem = problemOf(error)
    if (error instanceof ConsoleError && error.retryMs !== undefined) reply.header('retry-after', Math.ceil(error.retryMs / 1_000))
    if (problem.code === 'UNAUTHENTICATED') reply.header('www-authenticate', 'Bearer realm="cordon"')
    if (problem.status >= 500) log.error({ err: error }, 'console request failed')
    return reply.code(problem.status).type('application/problem+json').send(problem)
  })
  app.setNotFoundHandler((_request, reply) => {
    const problem = problemOf(new ConsoleError('NOT_FOUND', 'there is nothing here'))
    return reply.code(404).type('application/problem+json').send(problem)
  })
  app.addHook('onSend', async (_request, reply) => {
    reply.headers(headers)
    // Keys and who is contained are nobody's to keep, on a disk or in a proxy; the page's own files say for themselves.
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store')
  })
  app.addHook('preClose', async () => {
    setTimeout(() => app.server.closeAllConnections(), closeMs).unref()
  })
  app.get('/health', async (_request, reply) => {
    const status = await ports.status()
    return reply
      .code(status.roles.every((role) => role.ok) ? 200 : 503)
      .send({ status: status.ready ? 'up' : 'starting', roles: status.roles.map(({ role, ok, summary }) => ({ role, ok, summary })) })
  })
  app.get('/metrics', async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()))
  await app.register(async (guarded) => {
    const door = new Door({ ...options.access, token: options.token })
    guarded.addHook('onRequest', (request) => door.enter(request))
    for (const routes of allRoutes) routes(guarded, ports, door)
    for (const plugin of options.plugins ?? []) await guarded.register(plugin)
  })
  if (existsSync(page)) await app.register(fastifyStatic, { root: page, index: ['index.html'], cacheControl: true, maxAge: 0 })
  else log.warn('the console page is not built: run npm run prepare')
  return app
}
