import { z } from 'zod'
import { EventId, Instant } from '../../schemas/index.ts'
import { Wealth } from '../statistics/e-process.ts'
import { MemoryState } from './memory.ts'

/** An account's statement so far: 1 a sweep, 2 suspected, 3 likely, 4 certain, 5 beyond doubt. */
export const Episode = z.object({
  opened: EventId,
  from: Instant,
  degree: z.int().min(0).max(5),
  firstQuery: z.int().min(0),
  stated: Instant,
})
export type Episode = z.infer<typeof Episode>

/** What is known of a chain of variations. */
export const Head = z.object({
  chain: z.int().min(0),
  /** Where it began. */
  values: z.array(z.number()),
  steps: z.int().min(0),
  /** Steps that repeat an earlier one; of those, the ones that do not repeat the one before. */
  repeats: z.int().min(0),
  crossings: z.int().min(0),
  /** Steps long enough to be measured; sums over them. */
  measured: z.int().min(0),
  kurtosis: z.number().min(0),
  length: z.number().min(0),
  squaredLength: z.number().min(0),
  counted: z.enum(['no', 'line', 'lattice']),
})
export type Head = z.infer<typeof Head>

export const State = z.object({
  /** All queries, and those that told something new. */
  queries: z.int().min(0),
  fresh: z.int().min(0),
  /** Sketches of another profile or key cannot be compared: `profile/epoch`. */
  geometry: z.string(),
  wealth: Wealth,
  memory: MemoryState,
  /** The last odd queries that varied nothing: more of them than the last queries may hold. */
  oddities: MemoryState,
  /** Hashes of the last queries, for exact repeats that are no longer remembered. */
  seen: z.array(z.int().min(0)).max(64),
  nextChain: z.int().min(1),
  /** The newest chain of variations: see {@link Head}. */
  head: Head.nullable(),
  /** Chains of two queries or more; those in even steps along a line; those over a grid, or of one input value at a time. */
  chains: z.int().min(0),
  lines: z.number().min(0),
  lattices: z.number().min(0),
  returns: z.int().min(0),
  /** Answers by label, the last place for all beyond. */
  labels: z.array(z.int().min(0)).max(64),
  /** Queries with a p-value of at most 1 % by test. */
  odd: z.array(z.int().min(0)).max(8),
  /** Odd queries that neither a shift nor sensor noise explains, less what ordinary ones forgive; what the last odd one was. */
  novel: z.number().min(0),
  steadiness: z.enum(['few', 'none', 'shift', 'grain', 'scene']),
  /** There is evidence: much is remembered. */
  suspected: z.boolean(),
  /** Where the evidence last began to rise. */
  origin: Episode.nullable(),
  rising: z.boolean(),
  episode: Episode.nullable(),
})
export type State = z.infer<typeof State>
