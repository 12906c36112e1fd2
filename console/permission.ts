import type { Caller } from '../policy/context.ts'
import type { AdministrativeAction, PolicyDecision } from '../policy/port.ts'
import { type Instant, splitTarget, type Target } from '../schemas/index.ts'
import { ConsoleError } from './errors.ts'
import type { ConsolePorts } from './port.ts'

/** What a person is about to do, as policies know it. */
export interface Act {
  readonly action: AdministrativeAction
  /** The lease, target, key, principal or model that it is done to. */
  readonly resource: string
  /** The principal that it is about, whose risk counts; null where it is about none. */
  readonly about: string | null
}

/** What the console asks before it passes on what a person wants. */
export interface Permission {
  /** What policies would say; nothing is counted by it. @param address of who asks */
  decide(caller: Caller, act: Act, address: string, now: Instant): PolicyDecision | Promise<PolicyDecision>
  /** Told once of each act that was refused, with the decision that stands. */
  denied(decision: PolicyDecision): void
}

/** The principal that a target is, or that has the key which it is. */
export function principalOf(target: Target, { keys }: Pick<ConsolePorts, 'keys'>): string | null {
  const { kind, id } = splitTarget(target)
  if (kind === 'principal') return id
  return kind === 'key' ? (keys.list().find((key) => key.id === id)?.principal ?? null) : null
}

/** What is done by taking an action: some are other words for something else. */
export function actsOf(target: Target, action: string, ports: Pick<ConsolePorts, 'keys'>): readonly Act[] {
  const about = principalOf(target, ports)
  const contain: Act = { action: 'contain', resource: target, about }
  return action === 'rotate-key' ? [contain, { action: 'rotate-key', resource: splitTarget(target).id, about }] : [contain]
}

/** Who may administer is trusted with which policy forbids it. */
export function refusalOf({ policies, errors }: PolicyDecision, { action, resource }: Act): ConsoleError {
  const what = `${action} ${resource}`
  if (errors.length > 0)
    return new ConsoleError('UNDECIDED', `whether you may ${what} could not be decided, so nothing was done: ${errors.join('; ')}`)
  const why = policies.length === 0 ? 'no policy permits it' : `by ${policies.join(', ')}`
  return new ConsoleError('FORBIDDEN', `policies do not let you ${what}: ${why}`)
}
