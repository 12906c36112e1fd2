import { z } from 'zod'
import { Instant, Name } from './primitives.ts'

/**
 * A process took over the writing of the control topics. It stands on each fenced topic and on `outcomes`: from there
 * on, what writers of earlier terms still write is ignored by every reader, so that a process which was paused, or cut
 * off, and does not know that it was replaced, can do no harm. Key {@link termKey}.
 *
 * A term begins first where something is said to be done (`outcomes`, then `actions` and `incidents`), and last where it
 * is done: a replaced writer's word that counts is then always about an effect that counts.
 */
export const Term = z.object({
  role: Name,
  holder: Name,
  /** Grows with each term: the offset of this term's record on `outcomes`. Null on that topic, where it is the record's own. */
  number: z.int().min(0).nullable(),
  at: Instant,
})
export type Term = z.infer<typeof Term>

export const termKey = '~term'
/** Header of each record on a fenced topic: the term of its writer. */
export const termHeader = 'cordon-term'
