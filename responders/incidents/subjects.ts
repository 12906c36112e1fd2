import type { Finding, Incident, Target } from '../../schemas/index.ts'
import { splitTarget, targetOf } from '../../schemas/index.ts'
import { anonymous } from '../leases/hold.ts'

/**
 * What a finding is about. Who did it and where it ran come first; a model alone is a subject only where
 * nothing else is named, or every attack on a popular model would be one incident.
 */
export function subjectsOf(finding: Finding): readonly Target[] {
  const subjects = finding.principals.filter((name) => name !== anonymous).map((name) => targetOf('principal', name))
  if (finding.workload !== null) subjects.push(targetOf('workload', finding.workload))
  if (finding.pool !== null && finding.principals.length === 0) subjects.push(targetOf('pool', finding.pool))
  if (subjects.length === 0 && finding.model !== null) subjects.push(targetOf('model', finding.model))
  return subjects
}

/** Whether a finding that shares `target` with an incident belongs to it: the same people on another model do not. */
export function belongs(incident: Incident, finding: Finding, target: Target): boolean {
  if (splitTarget(target).kind !== 'principal') return true
  return finding.model === null || incident.models.length === 0 || incident.models.includes(finding.model)
}
