import { z } from 'zod'
import { EventId, Instant } from '../../schemas/index.ts'
import { Wealth } from '../statistics/e-process.ts'

/**
 * An earlier query of the principal. A tuple, since a principal has up to 120 of them:
 * - hash: top half of the keyed hash of the exact input: equal inputs, equal number; uniform, and nobody without the key chooses it
 * - label
 * - chain of variations that it belongs to
 * - returns: how often a later query varied it or came back to it
 * - sketch: int8 coordinates, base64; times `step` they are in input units
 * - step
 */
export const Remembered = z.tuple([
  z.int().min(0),
  z.int().min(0),
  z.int().min(0),
  z.int().min(0),
  z.string().max(1_024),
  z.number().min(0),
])
export type Remembered = z.infer<typeof Remembered>

export const Episode = z.object({ opened: EventId, from: Instant, degree: z.int().min(0).max(4), firstQuery: z.int().min(0) })
export type Episode = z.infer<typeof Episode>

export const State = z.object({
  /** All queries, and those that told something new. */
  queries: z.int().min(0),
  fresh: z.int().min(0),
  /** Sketches of another profile or key cannot be compared: `profile/epoch`. */
  geometry: z.string(),
  wealth: Wealth,
  sweep: Wealth,
  /** The last distinct queries, oldest first, and a uniform sample of all before. */
  recent: z.array(Remembered).max(64),
  sample: z.array(Remembered).max(256),
  /** Hashes of the last queries, for exact repeats that are in neither. */
  seen: z.array(z.int().min(0)).max(64),
  nextChain: z.int().min(1),
  /** Where the newest chain began, and how many steps it has taken. */
  head: Remembered.nullable(),
  steps: z.int().min(0),
  /** Chains of two queries or more. */
  chains: z.int().min(0),
  returns: z.int().min(0),
  /** Answers by label, the last place for all beyond. */
  labels: z.array(z.int().min(0)).max(64),
  /** Queries with a p-value of at most 1 % by test. */
  odd: z.array(z.int().min(0)).max(8),
  /** Where the evidence last began to rise. */
  origin: Episode.nullable(),
  rising: z.boolean(),
  episode: Episode.nullable(),
})
export type State = z.infer<typeof State>
