import type { z } from 'zod'
import type { Action, Instant, Parameters } from '../schemas/index.ts'
import { splitTarget, Target } from '../schemas/index.ts'
import { ResponderError } from './errors.ts'
import type { ContainmentResponder } from './responder.ts'

/** What a person asks for. */
export interface ContainmentRequest {
  readonly target: string
  /** A responder's id. */
  readonly action: string
  /** The responder's own; what is missing takes its default. Numbers may come as text and text as numbers: a command line cannot tell. */
  readonly parameters: Parameters
  readonly forMs: number
  readonly reason: string
  readonly by: string
}

/**
 * A person's request as a planned action.
 *
 * @param id of the action
 * @throws ResponderError `RESPONDER_UNKNOWN`, `TARGET_UNSUITED`, `DURATION_UNSUITED` or `PARAMETERS_INVALID`
 */
export function planRequest(request: ContainmentRequest, responders: readonly ContainmentResponder[], id: string, now: Instant): Action {
  const responder = responders.find((candidate) => candidate.id === request.action)
  if (responder === undefined) {
    const known = responders.map((candidate) => candidate.id).join(', ')
    throw new ResponderError('RESPONDER_UNKNOWN', `There is no action ${request.action}; there are ${known}.`)
  }
  checkTarget(request.target, responder)
  return {
    id,
    incident: null,
    responder: responder.id,
    effect: responder.effect,
    target: request.target,
    parameters: settingsOf(request, responder),
    reason: request.reason.slice(0, 2_000),
    owner: `person:${request.by}`.slice(0, 160),
    state: 'planned',
    plannedAt: now,
    until: now + request.forMs,
    note: '',
    decidedAt: null,
  }
}

function checkTarget(target: string, responder: ContainmentResponder): void {
  const parsed = Target.safeParse(target)
  const suited = parsed.success && responder.targets.includes(splitTarget(parsed.data).kind)
  if (suited) return
  const kinds = responder.targets.map((kind) => `${kind}:…`).join(' or ')
  throw new ResponderError('TARGET_UNSUITED', `${responder.id} acts on ${kinds}, not on ${JSON.stringify(target.slice(0, 160))}.`)
}

function settingsOf({ parameters, forMs }: ContainmentRequest, responder: ContainmentResponder): Parameters {
  const asGiven = responder.params.safeParse({ ...parameters, durationMs: forMs })
  const parsed = asGiven.success ? asGiven : responder.params.safeParse({ ...retyped(parameters, asGiven.error), durationMs: forMs })
  if (parsed.success) {
    const { durationMs: _, ...settings } = parsed.data as Parameters
    return settings
  }
  const { issues } = parsed.error
  if (issues.some((issue) => issue.path[0] === 'durationMs')) {
    throw new ResponderError('DURATION_UNSUITED', 'A containment lasts from 1 s to 24 h.')
  }
  const problems = issues.map((issue) => `${issue.path.join('.') || 'parameters'}: ${issue.message}`).join('; ')
  throw new ResponderError('PARAMETERS_INVALID', `The parameters of ${responder.id} are not valid: ${problems}.`)
}

/** Numbers for text and text for numbers where that is what was wrong: `1` is a number of requests, or a version. */
function retyped(parameters: Parameters, { issues }: z.ZodError): Parameters {
  const refused = new Set(issues.filter(({ code }) => code === 'invalid_type').map(({ path }) => path[0]))
  const read = Object.entries(parameters).map(([name, value]) => {
    if (!refused.has(name)) return [name, value] as const
    if (typeof value === 'number') return [name, String(value)] as const
    const isNumber = typeof value === 'string' && /^-?\d{1,15}(\.\d{1,15})?$/.test(value)
    return [name, isNumber ? Number(value) : value] as const
  })
  return Object.fromEntries(read)
}
