import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { Name } from '../../schemas/index.ts'
import { parse } from '../body.ts'
import type { ConsolePorts } from '../port.ts'

const Shown = z.object({ subject: Name })

export function limitRoutes(app: FastifyInstance, ports: ConsolePorts): void {
  app.get('/api/limits', async () => ({ limits: ports.limits.list() }))
  app.get('/api/limits/shares', async (request) => ({ shares: ports.limits.sharesOf(parse(Shown, request.query).subject) }))
}
