import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { Instant, Name } from '../../schemas/index.ts'
import { parse } from '../body.ts'
import { ConsoleError } from '../errors.ts'
import type { ConsolePorts } from '../port.ts'

const Create = z.strictObject({ principal: Name, organization: Name.nullable().default(null), expiresAt: Instant.nullable().default(null) })
const Revoke = z.strictObject({ keyId: z.string().min(1).max(64) })
const Rotate = z.strictObject({
  what: Name,
  overlapMs: z
    .int()
    .min(0)
    .max(30 * 86_400_000),
})
const Claim = z.strictObject({ what: Name })
const Listed = z.object({ principal: Name.optional() })

export function keyRoutes(app: FastifyInstance, ports: ConsolePorts): void {
  app.get('/api/keys', async (request) => {
    const { principal } = parse(Listed, request.query)
    return { keys: ports.keys.list().filter((key) => principal === undefined || key.principal === principal) }
  })
  app.post('/api/keys', async (request, reply) => reply.code(201).send(await ports.keys.create(parse(Create, request.body))))
  app.post('/api/keys/revoke', async (request) => {
    const { keyId } = parse(Revoke, request.body)
    return (await ports.keys.revoke(keyId)) ?? missing(`no key ${JSON.stringify(keyId)}`)
  })
  app.post('/api/keys/rotate', async (request) => {
    const { what, overlapMs } = parse(Rotate, request.body)
    const successors = await ports.keys.rotate(what, overlapMs)
    if (successors.length === 0) missing(`${JSON.stringify(what)} is no active key and no principal that has one`)
    return { successors }
  })
  app.post('/api/keys/claim', async (request) => {
    const { what } = parse(Claim, request.body)
    return (await ports.keys.claim(what)) ?? missing(`no rotated key of ${JSON.stringify(what)} waits to be claimed`)
  })
}

function missing(message: string): never {
  throw new ConsoleError('NOT_FOUND', message)
}
