import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { type Finding, type Incident, IncidentState, Name } from '../../schemas/index.ts'
import { parse } from '../body.ts'
import type { Door } from '../door.ts'
import { ConsoleError } from '../errors.ts'
import { actsOf } from '../permission.ts'
import type { ConsolePorts } from '../port.ts'
import { unseenOf } from '../unseen.ts'

const Listed = z.object({ state: IncidentState.optional() })
const One = z.object({ id: z.string().regex(/^[0-9a-f]{6,32}$/, 'an incident id is 6 to 32 hex digits') })
const Approve = z.strictObject({ id: z.string().regex(/^[0-9a-f]{32}$/), by: Name.optional() })

/** Filters that `GET /api/findings` and its stream share. */
export const FindingFilter = z.object({
  principal: Name.optional(),
  detector: Name.optional(),
  since: z.coerce.number().int().min(0).optional(),
  limit: z.coerce.number().int().min(1).max(10_000).default(1_000),
})
export type FindingFilter = z.infer<typeof FindingFilter>

export function matches(filter: FindingFilter, finding: Finding): boolean {
  return (
    (filter.principal === undefined || finding.principals.includes(filter.principal)) &&
    (filter.detector === undefined || finding.detector === filter.detector) &&
    (filter.since === undefined || finding.time >= filter.since)
  )
}

export function incidentRoutes(app: FastifyInstance, ports: ConsolePorts, door: Door): void {
  app.get('/api/findings', async (request) => {
    const filter = parse(FindingFilter, request.query)
    const newest = new Map<string, Finding>()
    for (const finding of ports.findings.recent()) if (matches(filter, finding)) newest.set(finding.id, finding)
    return { findings: [...newest.values()].slice(-filter.limit) }
  })
  app.get('/api/incidents', async (request) => {
    const { state } = parse(Listed, request.query)
    const incidents = ports.incidents.list().filter((incident) => state === undefined || incident.state === state)
    return { incidents: incidents.toSorted((a, b) => a.updatedAt - b.updatedAt) }
  })
  app.get('/api/incidents/:id', async (request) => {
    const incident = incidentNamed(request.params, ports)
    return {
      incident,
      findings: findingsOf(incident, ports),
      actions: ports.actions.ofIncident(incident.id),
      containments: ports.containments.list().filter((containment) => containment.incident === incident.id),
    }
  })
  app.get('/api/incidents/:id/unseen', (request) => {
    const incident = incidentNamed(request.params, ports)
    return unseenOf(incident, findingsOf(incident, ports), ports)
  })
  app.get('/api/actions', async () => ({ actions: ports.actions.waiting() }))
  app.post('/api/actions/approve', async (request) => {
    const { id, by } = parse(Approve, request.body)
    // What nobody could look at nobody approves.
    const asked = ports.actions.waiting().find((one) => one.id === id)
    if (asked === undefined) throw new ConsoleError('NOT_FOUND', `no action ${id} waits for approval`)
    await door.permit(request, ...actsOf(asked.target, asked.responder, ports))
    const action = await ports.actions.approve(id, door.by(request, by))
    if (action === null) throw new ConsoleError('NOT_FOUND', `no action ${id} waits for approval`)
    return action
  })
}

/** By its id, or the beginning of it. */
function incidentNamed(params: unknown, ports: ConsolePorts): Incident {
  const { id } = parse(One, params)
  const found = ports.incidents.list().filter((incident) => incident.id.startsWith(id))
  const incident = found[0]
  if (incident === undefined) throw new ConsoleError('NOT_FOUND', `no incident ${id}`)
  if (found.length > 1) throw new ConsoleError('INVALID_REQUEST', `${id} begins ${found.length} incidents: write more of it`)
  return incident
}

function findingsOf(incident: Incident, ports: ConsolePorts): readonly Finding[] {
  const named = new Set(incident.findings)
  return ports.findings.recent().filter((finding) => named.has(finding.id))
}
