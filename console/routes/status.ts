import type { FastifyInstance } from 'fastify'
import type { ConsolePorts } from '../port.ts'

export function statusRoutes(app: FastifyInstance, ports: ConsolePorts): void {
  app.get('/api/status', { config: { capabilities: ['administration', 'promotion'] } }, () => ports.status())
  app.get('/api/topics', async () => ({ topics: await ports.topics() }))
}
