import { z } from 'zod'
import { EventId, Instant } from '../../schemas/index.ts'
import { Summary } from './summary.ts'

export const State = z.object({
  summary: Summary,
  from: Instant,
  /** Distinct inputs when last estimated, and the most fidelity ever estimated: what has leaked stays leaked. */
  distinct: z.number().min(0),
  fidelity: z.number().min(0).max(1),
  /** New inputs with an exponential memory, and how long after `from` that was last brought up to date. */
  gained: z.number().min(0),
  gainedMs: z.number().min(0),
  /** What was stated: 1 half of the budget, 2 all of it. */
  episode: z.object({ opened: EventId, degree: z.int().min(1).max(2), stated: Instant }).nullable(),
})
export type State = z.infer<typeof State>
