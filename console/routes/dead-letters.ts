import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { EventId, Name } from '../../schemas/index.ts'
import { parse } from '../body.ts'
import type { Door } from '../door.ts'
import { ConsoleError } from '../errors.ts'
import type { ConsolePorts } from '../port.ts'

const Listed = z.object({
  topic: z.string().min(1).max(128).optional(),
  since: z.coerce.number().int().min(0).optional(),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
})
const One = z.object({ id: EventId })
const Replay = z.strictObject({ id: EventId, by: Name.optional() })

export function deadLetterRoutes(app: FastifyInstance, ports: ConsolePorts, door: Door): void {
  app.get('/api/dead-letters', async (request) => ({ deadLetters: await ports.deadLetters.list(parse(Listed, request.query)) }))
  app.get('/api/dead-letters/one', async (request) => {
    const { id } = parse(One, request.query)
    return (await ports.deadLetters.get(id)) ?? missing(id)
  })
  app.post('/api/dead-letters/replay', async (request) => {
    const { id, by } = parse(Replay, request.body)
    return (await ports.deadLetters.replay(id, door.by(request, by))) ?? missing(id)
  })
}

function missing(id: string): never {
  throw new ConsoleError('NOT_FOUND', `no dead letter ${id}`)
}
