import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { Instant, Key, Name } from '../../schemas/index.ts'
import { parse } from '../body.ts'
import type { Door } from '../door.ts'
import { ConsoleError } from '../errors.ts'
import type { ConsolePorts } from '../port.ts'

/** Who asks, where the credential does not say it. */
const by = Name.optional()
const Create = z.strictObject({
  principal: Name,
  organization: Name.nullable().default(null),
  expiresAt: Instant.nullable().default(null),
  addresses: Key.shape.addresses,
  origins: Key.shape.origins,
  roles: Key.shape.roles,
  capabilities: Key.shape.capabilities,
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

export function keyRoutes(app: FastifyInstance, ports: ConsolePorts, door: Door): void {
  /** Of a key or a principal. */
  const ownerOf = (what: string) => ports.keys.list().find(({ id }) => id === what)?.principal ?? what
  const isOwn = (request: FastifyRequest, what: string) => door.isSelf(request, ownerOf(what))
  app.get('/api/keys', async (request) => {
    const { principal } = parse(Listed, request.query)
    return { keys: ports.keys.list().filter((key) => principal === undefined || key.principal === principal) }
  })
  app.post('/api/keys', async (request, reply) => {
    const { by, ...key } = parse(Create, request.body)
    // Nobody hands on what it does not have.
    for (const capability of key.capabilities) if (capability !== 'inference') door.demand(request, [capability])
    if (!door.isSelf(request, key.principal)) door.demandSecondFactor(request)
    await door.permit(request, { action: 'create-key', resource: key.principal, about: key.principal })
    return reply.code(201).send(await ports.keys.create(key, door.by(request, by)))
  })
  app.post('/api/keys/revoke', async (request) => {
    const { keyId, by } = parse(Revoke, request.body)
    await door.permit(request, { action: 'revoke-key', resource: keyId, about: ownerOf(keyId) })
    return (await ports.keys.revoke(keyId, door.by(request, by))) ?? missing(`no key ${JSON.stringify(keyId)}`)
  })
  app.post('/api/keys/rotate', async (request) => {
    const { what, overlapMs, by } = parse(Rotate, request.body)
    if (!isOwn(request, what)) door.demandSecondFactor(request)
    await door.permit(request, { action: 'rotate-key', resource: what, about: ownerOf(what) })
    const successors = await ports.keys.rotate(what, overlapMs, door.by(request, by))
    if (successors.length === 0) missing(`${JSON.stringify(what)} is no active key and no principal that has one`)
    return { successors }
  })
  app.post('/api/keys/claim', async (request) => {
    const { what, by } = parse(Claim, request.body)
    // Who claims a key can act in its principal's name.
    if (!isOwn(request, what)) door.demandSecondFactor(request)
    await door.permit(request, { action: 'create-key', resource: ownerOf(what), about: ownerOf(what) })
    return (await ports.keys.claim(what, door.by(request, by))) ?? missing(`no rotated key of ${JSON.stringify(what)} waits to be claimed`)
  })
}

function missing(message: string): never {
  throw new ConsoleError('NOT_FOUND', message)
}
