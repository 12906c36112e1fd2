import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { LeaseState, Name, Parameters, Target, Text } from '../../schemas/index.ts'
import { parse } from '../body.ts'
import { ConsoleError } from '../errors.ts'
import type { ConsolePorts } from '../port.ts'

const Listed = z.object({ state: LeaseState.optional() })
const Contain = z.strictObject({
  target: Target,
  action: Name,
  parameters: Parameters.default({}),
  forMs: z
    .int()
    .min(1_000)
    .max(30 * 86_400_000),
  reason: Text.min(1),
  by: Name,
})
const id = z.string().min(1).max(300)
const One = z.object({ id })
const Release = z.strictObject({ id, by: Name })

export function containmentRoutes(app: FastifyInstance, ports: ConsolePorts): void {
  app.get('/api/containments', async (request) => {
    const { state } = parse(Listed, request.query)
    const containments = ports.containments.list().filter((containment) => state === undefined || containment.state === state)
    return { containments: containments.toSorted((a, b) => a.from - b.from) }
  })
  // Ids contain slashes and colons.
  app.get('/api/containments/one', async (request) => {
    const { id } = parse(One, request.query)
    const containment = ports.containments.get(id)
    if (containment === undefined) throw new ConsoleError('NOT_FOUND', `no containment ${JSON.stringify(id)}`)
    return containment
  })
  app.post('/api/containments', async (request, reply) =>
    reply.code(201).send(await ports.containments.contain(parse(Contain, request.body))),
  )
  app.post('/api/containments/release', async (request) => {
    const { id, by } = parse(Release, request.body)
    const released = await ports.containments.release(id, by)
    if (released === null) throw new ConsoleError('NOT_FOUND', `no active containment ${JSON.stringify(id)}`)
    return released
  })
}
