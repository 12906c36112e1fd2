import type { LimitRule } from './rules.ts'

/** Costs are told in millionths, since the numbers of these headers are whole. */
const units = {
  requests: { name: 'requests', per: 1 },
  tokens: { name: 'tokens', per: 1 },
  cost: { name: 'cost-millionths', per: 1e6 },
} as const
/** Largest integer of a structured field, RFC 9651 section 3.3.1. */
const largest = 999_999_999_999_999
/** One name for every limit, as with the ordinary quota: a client is told how much, and not by what rule. */
const policy = 'peruser'

/**
 * draft-ietf-httpapi-ratelimit-headers; times are whole seconds there.
 *
 * @param lengthMs of the window
 * @param remaining in the rule's measure
 * @param resetMs until there is a whole allowance again
 */
export function limitHeaders(
  { measure, amount }: Pick<LimitRule, 'measure' | 'amount'>,
  lengthMs: number,
  remaining: number,
  resetMs: number,
): Readonly<Record<string, string>> {
  const { name, per } = units[measure]
  const quota = Math.min(largest, Math.floor(amount * per))
  const left = Math.min(quota, Math.floor(Math.max(0, remaining) * per + 1e-6))
  return {
    'ratelimit-policy': `"${policy}";q=${quota};qu="${name}";w=${Math.ceil(lengthMs / 1_000)}`,
    ratelimit: `"${policy}";r=${left};t=${Math.ceil(Math.max(0, resetMs) / 1_000)}`,
  }
}
