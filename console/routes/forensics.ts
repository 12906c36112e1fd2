import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { parse } from '../body.ts'
import type { ConsolePorts } from '../port.ts'

const Query = z.union([
  z.strictObject({
    name: z.string().min(1).max(64),
    params: z.record(z.string().max(64), z.union([z.string().max(1_024), z.number(), z.boolean(), z.null()])).default({}),
  }),
  z.strictObject({ sql: z.string().min(1).max(100_000) }),
])

export function forensicRoutes(app: FastifyInstance, ports: ConsolePorts): void {
  app.get('/api/queries', async () => ({ queries: ports.forensics.list() }))
  app.post('/api/query', async (request) => {
    const query = parse(Query, request.body)
    return 'sql' in query ? ports.forensics.sql(query.sql) : ports.forensics.query(query.name, query.params)
  })
}
