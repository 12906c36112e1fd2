import { z } from 'zod'
import { Operation, Unit } from '../schemas/index.ts'
import { PolicyError } from './errors.ts'
import type { PolicyFile } from './policy-set.ts'
import { administrativeActions, type PolicyDecision, type PolicyEngine, type PolicyRequest } from './port.ts'

/** 2026-06-01T12:00:00Z, a Monday: when cases happen. */
const noon = 1_780_315_200_000

const Action = z.enum([...Operation.options, ...administrativeActions])

/** What is left out says nothing that any policy of the default set minds. */
const Circumstances = z.strictObject({
  address: z.string().default('192.0.2.1'),
  country: z.string().nullable().default(null),
  hour: z.int().min(0).max(23).default(12),
  keyAgeDays: z.number().min(0).nullable().default(null),
  sensitivity: z.enum(['public', 'internal', 'confidential', 'restricted']).default('internal'),
  owner: z.string().nullable().default(null),
  purposes: z.array(z.string()).default([]),
  purpose: z.string().nullable().default(null),
  risk: Unit.default(0),
  targetRisk: Unit.nullable().default(null),
  secondFactor: z.boolean().default(false),
})

export const Question = z.strictObject({
  principal: z.string().min(1).default('alice'),
  organization: z.string().nullable().default(null),
  roles: z.array(z.string()).default([]),
  method: z.enum(['key', 'oidc', 'token', 'certificate', 'account', 'machine']).default('key'),
  action: Action.default('infer'),
  resource: z.string().min(1).default('digits'),
  context: Circumstances.prefault({}),
})
export type Question = z.infer<typeof Question>

/** A question, and how it is to be decided. */
const Case = Question.extend({
  name: z.string().min(1),
  allowed: z.boolean(),
  /** Which policies decide, in any order; left out, any may. */
  policies: z.array(z.string()).optional(),
})
type Case = z.infer<typeof Case>

export interface CaseResult {
  readonly file: string
  readonly name: string
  readonly ok: boolean
  readonly allowed: boolean
  readonly policies: readonly string[]
  /** What was expected instead, and why it could not be decided; empty where it is as expected. */
  readonly reason: string
}

export function requestOf({ context, ...rest }: Question): PolicyRequest {
  return { ...rest, context: { ...context, now: noon } }
}

/**
 * @param file JSON: a list of cases
 * @throws PolicyError `CASES_INVALID`
 */
export function casesOf({ name, text }: PolicyFile): readonly Case[] {
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch (cause) {
    throw new PolicyError('CASES_INVALID', `${name}: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
  const cases = z.array(Case).safeParse(document)
  if (cases.success) return cases.data
  const [issue] = cases.error.issues
  throw new PolicyError('CASES_INVALID', `${name}: ${issue?.path.join('.')}: ${issue?.message}`, { cause: cases.error })
}

/** Decides every case. */
export async function runCases(engine: PolicyEngine, files: readonly PolicyFile[]): Promise<readonly CaseResult[]> {
  const results: CaseResult[] = []
  for (const file of files) {
    for (const one of casesOf(file)) {
      const { name, allowed: _allowed, policies: _policies, ...question } = one
      const decision = await engine.decide(requestOf(question))
      const reason = difference(one, decision)
      results.push({ file: file.name, name, ok: reason === '', allowed: decision.allowed, policies: decision.policies, reason })
    }
  }
  return results
}

function difference({ allowed, policies }: Case, decision: PolicyDecision): string {
  if (decision.errors.length > 0) return `it could not be decided: ${decision.errors.join('; ')}`
  if (decision.allowed !== allowed) return `expected ${allowed ? 'allowed' : 'denied'}, was ${told(decision)}`
  const expected = policies?.toSorted().join(', ')
  const found = decision.policies.toSorted().join(', ')
  return expected === undefined || expected === found ? '' : `expected by ${expected || 'none'}, was ${told(decision)}`
}

/** `allowed by a, b`; `denied, since no policy permits it`. */
function told({ allowed, policies }: Pick<PolicyDecision, 'allowed' | 'policies'>): string {
  if (policies.length === 0) return allowed ? 'allowed' : 'denied, since no policy permits it'
  return `${allowed ? 'allowed' : 'denied'} by ${policies.join(', ')}`
}
