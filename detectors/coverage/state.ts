import { z } from 'zod'
import { EventId, Instant } from '../../schemas/index.ts'

/** The newest sample of the node, by its own time. */
const Sample = z.object({
  id: EventId,
  at: Instant,
  everyMs: z.int(),
  closing: z.boolean(),
  requests: z.int(),
  emitted: z.int(),
  dropped: z.int(),
})
export type Sample = z.infer<typeof Sample>

/** Nothing that is later than `from` had come when it should have. */
const Silence = z.object({
  /** The last sample before it. */
  opened: EventId,
  from: Instant,
  /** Samples of this time that came after all: with any, it was a delay. */
  delayed: z.int(),
  /** The newest of them was itself far behind event time when it came, so more of them may follow. */
  behind: z.boolean(),
})
export type Silence = z.infer<typeof Silence>

/** Events lost, or control topics unread, from sample to sample. */
const Episode = z.object({
  opened: EventId,
  from: Instant,
  until: Instant,
  /** Events lost; or the greatest age of what is known of control topics, milliseconds. */
  amount: z.number(),
  samples: z.int(),
  /** Whether bounds and amount are all there is: counts of a process that died are not. */
  exact: z.boolean(),
  statedAt: Instant,
})
export type Episode = z.infer<typeof Episode>

export const State = z.object({
  node: z.string(),
  pool: z.string().nullable(),
  last: Sample.nullable(),
  silence: Silence.nullable(),
  loss: Episode.nullable(),
  staleness: Episode.nullable(),
})
export type State = z.infer<typeof State>

export function initialState(): State {
  return { node: '', pool: null, last: null, silence: null, loss: null, staleness: null }
}
