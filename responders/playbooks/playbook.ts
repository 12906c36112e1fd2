import { z } from 'zod'
import { Name, Parameters, Severity, Text, Unit } from '../../schemas/index.ts'
import { ResponderError } from '../errors.ts'
import type { ContainmentResponder } from '../responder.ts'
import { Duration } from './duration.ts'

/** What a finding is about: the first of these that it names. */
export const About = z.enum(['principal', 'pool', 'workload', 'model'])
export type About = z.infer<typeof About>

const When = z.strictObject({
  /** Any of these; every detector where it is missing. */
  detectors: z.array(Name).min(1).max(64).optional(),
  about: z.array(About).min(1).optional(),
  minSeverity: Severity.default('info'),
  minConfidence: Unit.default(0),
  /** Of the incident: how often its subjects were contained before. */
  minRepetitions: z.int().min(0).default(0),
})

const Step = z.strictObject({
  responder: Name,
  /** The responder's own parameters, checked with its schema. */
  with: Parameters.default({}),
  for: Duration,
})

const Rule = z.strictObject({
  id: Name,
  summary: Text.default(''),
  when: When,
  /** Nothing: observe. */
  steps: z.array(Step).max(8),
})
export type Rule = z.infer<typeof Rule>

const Document = z.strictObject({
  id: Name,
  version: z.literal(1),
  /** The first rule that matches decides: hardest first. */
  rules: z.array(Rule).min(1).max(256),
})

/** A checked step: `parameters` are the responder's, with its defaults and the duration in them. */
export interface PlaybookStep {
  readonly responder: ContainmentResponder
  readonly parameters: Readonly<Record<string, unknown>>
  readonly durationMs: number
}

export interface PlaybookRule {
  readonly id: string
  readonly summary: string
  readonly when: Rule['when']
  readonly steps: readonly PlaybookStep[]
}

export interface Playbook {
  readonly id: string
  readonly rules: readonly PlaybookRule[]
}

/**
 * Checks a playbook, its responders and their parameters.
 *
 * @param document the parsed YAML or JSON
 * @throws ResponderError `PLAYBOOK_INVALID`, naming every problem with its path
 */
export function parsePlaybook(document: unknown, responders: readonly ContainmentResponder[]): Playbook {
  const parsed = Document.safeParse(document)
  if (!parsed.success) throw invalid(problemsOf(parsed.error, []))
  const problems: string[] = []
  const ids = new Set<string>()
  const rules = parsed.data.rules.map((rule, r): PlaybookRule => {
    if (ids.has(rule.id)) problems.push(`rules[${r}].id: ${rule.id} is used twice`)
    ids.add(rule.id)
    return { ...rule, steps: rule.steps.flatMap((step, s) => resolve(step, ['rules', r, 'steps', s], responders, problems)) }
  })
  if (problems.length > 0) throw invalid(problems)
  return { id: parsed.data.id, rules }
}

function resolve(
  step: z.infer<typeof Step>,
  path: readonly (string | number)[],
  responders: readonly ContainmentResponder[],
  problems: string[],
): PlaybookStep[] {
  const responder = responders.find((candidate) => candidate.id === step.responder)
  if (responder === undefined) {
    const known = responders.map((candidate) => candidate.id).join(', ')
    problems.push(`${written(path)}.responder: no responder is called ${step.responder}; there are ${known}`)
    return []
  }
  const parameters = responder.params.safeParse({ ...step.with, durationMs: step.for })
  if (!parameters.success) {
    problems.push(...problemsOf(parameters.error, [...path, 'with']))
    return []
  }
  return [{ responder, parameters: parameters.data as Record<string, unknown>, durationMs: step.for }]
}

function problemsOf(error: z.ZodError, path: readonly (string | number)[]): string[] {
  return error.issues.map((issue) => `${written([...path, ...issue.path])}: ${issue.message}`)
}

/** `rules[0].when.minConfidence` */
function written(path: readonly PropertyKey[]): string {
  if (path.length === 0) return 'playbook'
  return path.map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i === 0 ? '' : '.'}${String(part)}`)).join('')
}

function invalid(problems: readonly string[]): ResponderError {
  return new ResponderError('PLAYBOOK_INVALID', `The playbook cannot be used. ${problems.join('; ')}.`)
}
