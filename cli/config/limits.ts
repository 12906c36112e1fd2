import { z } from 'zod'
import { LimitRule } from '../../limits/rules.ts'

/** Limits by requests, tokens and cost. */
export const LimitsConfiguration = z
  .strictObject({
    rules: z
      .array(LimitRule)
      .max(64)
      .refine((rules) => new Set(rules.map(({ name }) => name)).size === rules.length, 'two rules have one name')
      .default([])
      .describe('how much each may take; all that apply to a call have to let it through'),
    nodes: z
      .int()
      .min(1)
      .max(1_000)
      .default(4)
      .describe('nodes expected at work at once; windows shorter than 30 s are split among so many, longer ones by demand'),
    whenAway: z
      .enum(['refuse', 'local'])
      .default('refuse')
      .describe(
        'once a node spent what it was granted and the bus, or the role respond, is away: refuse, or let each node spend by itself',
      ),
    agreeMs: z
      .int()
      .min(0)
      .max(10_000)
      .default(1_000)
      .describe('how long the first call of a payer at a node may wait for its share; beyond it 429'),
  })
  .prefault({})
export type LimitsConfiguration = z.infer<typeof LimitsConfiguration>
