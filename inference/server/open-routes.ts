import type { FastifyInstance } from 'fastify'
import type { Registry } from 'prom-client'
import { busy } from './pools.ts'

export interface OpenRoutes {
  readonly version: string
  readonly backend: string
  readonly registry: Registry
  readonly ready: () => boolean
  readonly status: () => { readonly ok: boolean; readonly summary: string }
}

/**
 * Families that anybody may read. The registry is the whole process's, and a client who could count findings, leases or
 * events that are not its own would know at once that it was seen; the console's `/metrics` has all of them. Nor is told what
 * has a model, a version or a pool in it: a rollback and a quarantine move work from one to another. Nor which requests were not
 * recorded, and which inputs left no fingerprint: who looks for a way past the detectors would be shown each one that works.
 */
const told = /^cordon_((process|nodejs)_.*|requests_total|request_duration_seconds|runtime_backend_info)$/

/** Of the Open Inference Protocol; those that `oip/routes.ts` has. */
const extensions = ['binary_tensor_data', 'classification', 'model_configuration', 'model_repository', 'statistics']

/** What needs no key: it says nothing about models, clients or containment. */
export function openRoutes(app: FastifyInstance, { version, backend, registry, ready, status }: OpenRoutes): void {
  app.get('/v2', async () => ({ name: 'cordon', version, extensions, backend }))
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
    return reply.type(registry.contentType).send(`${quietened(families.join('\n\n'))}\n`)
  })
}

const requests = /^cordon_requests_total\{outcome="(overloaded|quarantined)"\} (\d+)$/

/** Requests to a drained pool count among those to a busy one: one client could send one, and read here which it was. */
function quietened(text: string): string {
  let refused: number | undefined
  const rest = text.split('\n').flatMap((line) => {
    const count = requests.exec(line)?.[2]
    if (count === undefined) return [line]
    const first = refused === undefined
    refused = (refused ?? 0) + Number(count)
    return first ? [overloaded] : []
  })
  return rest.map((line) => (line === overloaded ? `${overloaded} ${refused}` : line)).join('\n')
}

const overloaded = 'cordon_requests_total{outcome="overloaded"}'
