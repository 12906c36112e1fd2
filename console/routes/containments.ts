import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { LeaseState, leaseId, Name, Parameters, splitTarget, Target, Text } from '../../schemas/index.ts'
import { parse } from '../body.ts'
import type { Door } from '../door.ts'
import { ConsoleError } from '../errors.ts'
import { type Act, actsOf, principalOf } from '../permission.ts'
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
  by: Name.optional(),
})
const id = z.string().min(1).max(300)
const One = z.object({ id })
const Release = z.strictObject({ id, by: Name.optional() })

export function containmentRoutes(app: FastifyInstance, ports: ConsolePorts, door: Door): void {
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
  app.post('/api/containments', async (request, reply) => {
    const asked = parse(Contain, request.body)
    const acts = [...actsOf(asked.target, asked.action, ports), ...otherWords(asked, ports)]
    if (acts.some(({ action }) => action === 'promote')) door.demand(request, ['promotion'])
    if (acts.length > 1) door.demandSecondFactor(request)
    await door.permit(request, ...acts)
    return reply.code(201).send(await ports.containments.contain({ ...asked, by: door.by(request, asked.by) }))
  })
  app.post('/api/containments/release', async (request) => {
    const { id, by } = parse(Release, request.body)
    door.demandSecondFactor(request)
    const target = ports.containments.get(id)?.target
    await door.permit(request, { action: 'release', resource: id, about: target === undefined ? null : principalOf(target, ports) })
    const released = await ports.containments.release(id, door.by(request, by))
    if (released === null) throw new ConsoleError('NOT_FOUND', `no active containment ${JSON.stringify(id)}`)
    return released
  })
}

/** What a person settles replaces what stands: that may be a release by another name, or a promotion. */
function otherWords(asked: z.infer<typeof Contain>, ports: ConsolePorts): readonly Act[] {
  const lease = leaseId(asked.target, asked.action)
  const stands = ports.containments.get(lease)?.state === 'active'
  return [
    ...(stands ? [{ action: 'release', resource: lease, about: principalOf(asked.target, ports) } as const] : []),
    ...(promotes(asked, ports) ? [{ action: 'promote', resource: splitTarget(asked.target).id, about: null } as const] : []),
  ]
}

/** Rolling back to what is no good version before the current one is not going back: it chooses what is served. */
function promotes({ target, action, parameters }: z.infer<typeof Contain>, ports: ConsolePorts): boolean {
  const { version = null } = parameters
  if (action !== 'rollback-model' || version === null) return false
  const model = ports.models.list().find(({ name }) => name === splitTarget(target).id)
  const current = model?.versions.findIndex((one) => one.version === model.current) ?? -1
  return !(model?.versions.slice(0, Math.max(0, current)).some((one) => one.version === version && one.good) ?? false)
}
