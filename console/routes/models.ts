import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { Name } from '../../schemas/index.ts'
import { parse } from '../body.ts'
import type { Door } from '../door.ts'
import type { ConsolePorts } from '../port.ts'

const Promote = z.strictObject({ model: Name, version: Name, good: z.boolean().default(false), by: Name.optional() })

export function modelRoutes(app: FastifyInstance, ports: ConsolePorts, door: Door): void {
  app.get('/api/models', { config: { capabilities: ['administration', 'promotion'] } }, async () => ({
    models: ports.models.list().toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  }))
  app.post('/api/models/promote', { config: { capabilities: ['promotion'] } }, async (request) => {
    const { by, ...promotion } = parse(Promote, request.body)
    door.demandSecondFactor(request)
    await door.permit(request, { action: 'promote', resource: promotion.model, about: null })
    return ports.models.promote(promotion, door.by(request, by))
  })
}
