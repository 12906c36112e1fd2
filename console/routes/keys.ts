import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { Instant, Name } from '../../schemas/index.ts'
import { parse } from '../body.ts'
import { ConsoleError } from '../errors.ts'
import type { ConsolePorts } from '../port.ts'

/** Who asks; the token says that it is an operator, not which. */
const by = Name.default('operator')
const Create = z.strictObject({
  principal: Name,
  organization: Name.nullable().default(null),
  expiresAt: Instant.nullable().default(null),
  by,
})
const Revoke = z.strictObject({ keyId: z.string().min(1).max(64), by })
const Rotate = z.strictObject({
  what: Name,
  overlapMs: z
    .int()
    .min(0)
    .max(30 * 86_400_000),
  by,
})
const Claim = z.strictObject({ what: Name, by })
const Listed = z.object({ principal: Name.optional() })

export function keyRoutes(app: FastifyInstance, ports: ConsolePorts): void {
  app.get('/api/keys', async (request) => {
    const { principal } = parse(Listed, request.query)
    return { keys: ports.keys.list().filter((key) => principal === undefined || key.principal === principal) }
  })
  app.post('/api/keys', async (request, reply) => {
    const { by, ...key } = parse(Create, request.body)
    return reply.code(201).send(await ports.keys.create(key, by))
  })
  app.post('/api/keys/revoke', async (request) => {
    const { keyId, by } = parse(Revoke, request.body)
    return (await ports.keys.revoke(keyId, by)) ?? missing(`no key ${JSON.stringify(keyId)}`)
  })
  app.post('/api/keys/rotate', async (request) => {
    const { what, overlapMs, by } = parse(Rotate, request.body)
    const successors = await ports.keys.rotate(what, overlapMs, by)
    if (successors.length === 0) missing(`${JSON.stringify(what)} is no active key and no principal that has one`)
    return { successors }
  })
  app.post('/api/keys/claim', async (request) => {
    const { what, by } = parse(Claim, request.body)
    return (await ports.keys.claim(what, by)) ?? missing(`no rotated key of ${JSON.stringify(what)} waits to be claimed`)
  })
}

function missing(message: string): never {
  throw new ConsoleError('NOT_FOUND', message)
}
