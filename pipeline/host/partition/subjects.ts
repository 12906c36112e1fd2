import type { Instant, Observation } from '../../../schemas/index.ts'
import type { Sighting } from './blindness.ts'
import type { HostInput } from './partition-host.ts'

/** What an event that was not seen as it should have been is about. */
export function aboutOf(event: Observation, time: Instant): Partial<Sighting> {
  return { concerns: { from: time, until: time }, ...subjectsOf(event) }
}

/** The same of a record that the host failed on, which may be why: where it does not say whose it is, it is somebody's. */
export function aboutFailed(event: HostInput, time: Instant): Partial<Sighting> {
  const concerns = { from: time, until: time }
  // A tick is everybody's.
  if (event.kind === 'tick') return { concerns, principal: null }
  try {
    return { concerns, ...subjectsOf(event) }
  } catch {
    return { concerns, principal: null }
  }
}

/** Whose event it is, and of which model, workload or node. */
export function subjectsOf({ kind, data }: Observation): { readonly principal?: string; readonly keys: readonly string[] } {
  switch (kind) {
    case 'request':
      return { principal: data.principal, keys: [] }
    case 'fingerprint':
    case 'prompt':
      return { principal: data.principal, keys: [data.model] }
    case 'telemetry':
      return { keys: [data.node] }
    case 'flow':
      return { keys: [data.workload] }
  }
}
