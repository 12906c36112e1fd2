import { z } from 'zod'
import { EventId, Instant } from '../../schemas/index.ts'
import { Wealth } from '../statistics/e-process.ts'
import { MemoryState } from './memory.ts'

/** An account's statement so far: 1 a sweep, 2 suspected, 3 likely, 4 certain, 5 beyond doubt. */
export const Episode = z.object({ opened: EventId, from: Instant, degree: z.int().min(0).max(5), firstQuery: z.int().min(0) })
export type Episode = z.infer<typeof Episode>

export const State = z.object({
  /** All queries, and those that told something new. */
  queries: z.int().min(0),
  fresh: z.int().min(0),
  /** Sketches of another profile or key cannot be compared: `profile/epoch`. */
  geometry: z.string(),
  wealth: Wealth,
  memory: MemoryState,
  /** Hashes of the last queries, for exact repeats that are no longer remembered. */
  seen: z.array(z.int().min(0)).max(64),
  nextChain: z.int().min(1),
  /** Where the newest chain of variations began, its steps, and how many of the last were straight and even. */
  head: z.object({ chain: z.int().min(0), values: z.array(z.number()), steps: z.int().min(0), straight: z.int().min(0) }).nullable(),
  /** Chains of two queries or more; those that went straight. */
  chains: z.int().min(0),
  sweeps: z.int().min(0),
  returns: z.int().min(0),
  /** Answers by label, the last place for all beyond. */
  labels: z.array(z.int().min(0)).max(64),
  /** Queries with a p-value of at most 1 % by test. */
  odd: z.array(z.int().min(0)).max(8),
  /** Odd queries that neither a shift nor a common origin explains, less what ordinary ones forgive; what the last odd one was. */
  novel: z.number().min(0),
  steadiness: z.enum(['none', 'shift', 'grain', 'base']),
  /** There is evidence: much is remembered. */
  suspected: z.boolean(),
  /** Where the evidence last began to rise. */
  origin: Episode.nullable(),
  rising: z.boolean(),
  episode: Episode.nullable(),
})
export type State = z.infer<typeof State>
