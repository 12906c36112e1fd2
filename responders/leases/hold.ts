import type { Action, Incident, Instant, Parameters, Target, TargetKind } from '../../schemas/index.ts'
import { leaseId, targetOf } from '../../schemas/index.ts'
import type { LeaseRequest, Outcome, PlannedAction, ResponderPorts } from '../contract.ts'

/** Requests without a usable key share this name: nobody in particular, so nobody to contain. */
export const anonymous = 'anonymous'

/** What an incident names of one kind, as targets. */
function targetsOf(incident: Incident, kind: TargetKind): readonly Target[] {
  const names = { principal: incident.principals, model: incident.models, pool: incident.pools, workload: incident.workloads }
  if (kind === 'organization' || kind === 'key' || kind === 'cluster') return []
  return names[kind].filter((name) => name !== anonymous).map((name) => targetOf(kind, name))
}

/** One lease for each target of a kind. */
export function planLeases(
  incident: Incident,
  kind: TargetKind,
  parameters: Parameters,
  durationMs: number,
  now: Instant,
): readonly PlannedAction[] {
  return targetsOf(incident, kind).map((target) => ({ target, parameters, reason: incident.title, until: now + durationMs }))
}

function leaseRequest(action: Action, parameters: Parameters = action.parameters): LeaseRequest {
  return {
    target: action.target,
    action: action.responder,
    parameters,
    reason: action.reason,
    owner: action.owner,
    incident: action.incident,
    until: action.until,
    decidedAt: action.decidedAt,
  }
}

/** Grants the action's lease. Granting it again changes nothing. */
export async function holdLease(action: Action, ports: ResponderPorts, signal: AbortSignal, parameters?: Parameters): Promise<Outcome> {
  signal.throwIfAborted()
  const lease = await ports.leases.grant(leaseRequest(action, parameters))
  if (lease.state !== 'active') return { ok: false, note: `The lease had ended already (${lease.state} by ${lease.endedBy}).` }
  return { ok: true, note: `Lease ${lease.id}, revision ${lease.revision}.` }
}

export async function releaseLease(action: Action, ports: ResponderPorts, signal: AbortSignal): Promise<Outcome> {
  signal.throwIfAborted()
  const lease = await ports.leases.release(leaseId(action.target, action.responder), action.owner)
  return { ok: true, note: lease === null ? 'There was no lease to release.' : `Lease ${lease.id} is ${lease.state}.` }
}
