import { z } from 'zod'
import { type Instant, Name } from '../schemas/index.ts'
import type { Payer, Usage } from './port.ts'

const day = 86_400_000

const Pattern = z
  .string()
  .min(1)
  .max(128)
  .refine((pattern) => pattern.split('*').length <= 4, 'at most three * in a pattern')
  .default('*')

const Factor = z.number().gt(0).max(1)

/** One limit: so much of a measure, in a window, for each of what it is `over`. */
export const LimitRule = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z][a-z0-9-]{0,31}$/, 'lower-case letters, digits and -, starting with a letter')
      .describe('in refusals’ records, in `cordon limits`; unique'),
    over: z
      .enum(['principal', 'key', 'organization', 'model', 'everyone'])
      .default('principal')
      .describe(
        'each of which has an allowance of its own; `everyone` is one for all. The key of who comes by an identity provider is its client and the person together',
      ),
    match: z
      .strictObject({
        principal: Pattern.describe('* is any text'),
        organization: Pattern.describe('other than * only where there is an organization'),
        model: Pattern,
      })
      .prefault({})
      .describe('to whom it applies'),
    measure: z.enum(['requests', 'tokens', 'cost']).default('requests').describe('requests are counted in inputs'),
    amount: z.number().positive().max(1e12).describe('how much, in each window'),
    windowMs: z
      .int()
      .min(1_000)
      .max(31 * day)
      .nullable()
      .default(null)
      .describe('length of a window; windows begin at multiples of it since 1970, UTC'),
    calendar: z.enum(['day', 'month']).nullable().default(null).describe('or a day or a month, UTC'),
    burst: z
      .number()
      .positive()
      .nullable()
      .default(null)
      .describe('how much of it may be taken at once, by each node; it comes back evenly over the window. null is all'),
    adaptive: z
      .strictObject({
        newKeyDays: z.number().min(0).max(366).default(0).describe('a key younger than that gets newKeyFactor of the amount'),
        newKeyFactor: Factor.default(1),
        newPlaceFactor: Factor.default(1).describe(
          'share of the amount from an address that the principal began to call a node from within a day, where it has called for longer',
        ),
        risk: z
          .array(z.strictObject({ from: z.number().min(0).max(1), factor: Factor }))
          .max(8)
          .default([])
          .describe('share of the amount from a risk on'),
        failures: z
          .strictObject({ count: z.int().min(1), windowMs: z.int().min(1_000), factor: Factor })
          .nullable()
          .default(null)
          .describe('share of the amount after so many calls of a principal that a node refused for what they asked, or by policy'),
      })
      .prefault({})
      .describe('what lowers the amount; the lowest of those that apply counts'),
  })
  .refine(({ windowMs, calendar }) => (windowMs === null) !== (calendar === null), 'give windowMs or calendar')
export type LimitRule = z.infer<typeof LimitRule>

/** A stretch of time, from `start` until before `end`, within which an amount may be spent once. */
export interface Window {
  readonly start: Instant
  readonly end: Instant
}

/** The window that `now` lies in. */
export function windowAt({ windowMs, calendar }: Pick<LimitRule, 'windowMs' | 'calendar'>, now: Instant): Window {
  if (windowMs !== null || calendar === 'day') {
    const length = windowMs ?? day
    const start = Math.floor(now / length) * length
    return { start, end: start + length }
  }
  const date = new Date(now)
  const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()]
  return { start: Date.UTC(year, month, 1), end: Date.UTC(year, month + 1, 1) }
}

/** Whose allowance a call takes from; null where the rule does not apply to it. */
export function subjectOf({ over }: LimitRule, payer: Payer): string | null {
  if (over === 'principal') return payer.principal
  if (over === 'key') return keyOf(payer)
  if (over === 'organization') return payer.organization
  return over === 'model' ? payer.model : 'everyone'
}

/**
 * What one caller alone calls by: of a client that many call by, the client and the caller, as `client++caller`. No name that an issuer's
 * claims become has `++` in it, so nobody can be taken for another. Who has no key, or one that no name can hold so, is counted as
 * themselves.
 */
function keyOf({ principal, keyId, sharedKey }: Payer): string {
  if (keyId === null || !sharedKey) return keyId ?? principal
  const pair = `${keyId}++${principal}`
  return Name.safeParse(pair).success ? pair : principal
}

/** Whether patterns let a payer through, made ready once. */
export function matcherOf({ match }: LimitRule): (payer: Payer) => boolean {
  const principal = patternOf(match.principal)
  const organization = patternOf(match.organization)
  const model = patternOf(match.model)
  return (payer) =>
    principal(payer.principal) &&
    (match.organization === '*' || (payer.organization !== null && organization(payer.organization))) &&
    model(payer.model)
}

function patternOf(pattern: string): (text: string) => boolean {
  if (pattern === '*') return () => true
  if (!pattern.includes('*')) return (text) => text === pattern
  const parts = pattern.split('*').map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&'))
  const expression = new RegExp(`^${parts.join('.*')}$`, 'su')
  return (text) => expression.test(text)
}

/** The share of the amount that a payer has now, above 0 and at most 1. */
export function factorOf({ adaptive }: LimitRule, payer: Payer, failures: number, now: Instant): number {
  let factor = 1
  const { keyCreatedAt, risk, newPlace } = payer
  if (keyCreatedAt !== null && now - keyCreatedAt < adaptive.newKeyDays * day) factor = adaptive.newKeyFactor
  if (newPlace) factor = Math.min(factor, adaptive.newPlaceFactor)
  for (const step of adaptive.risk) if (risk >= step.from) factor = Math.min(factor, step.factor)
  if (adaptive.failures !== null && failures >= adaptive.failures.count) factor = Math.min(factor, adaptive.failures.factor)
  return factor
}

/** Of a usage, what a rule counts. */
export function measured({ measure }: LimitRule, usage: Usage): number {
  return measure === 'requests' ? usage.requests : measure === 'tokens' ? usage.tokens : usage.cost
}
