import type { Difference } from './difference.ts'
import type { Cluster } from './state.ts'

/** One prompt beside the earlier one that it differs least from. `difference` is valid until the next prompt. */
export interface Link {
  readonly cluster: Cluster
  readonly difference: Difference
  /** The place of what is new was not among the last ones, counted in characters. */
  readonly moved: boolean
  /** It was, by what stands before and behind it: the slot of a template stays where it is, however long the slots before it are. */
  readonly familiar: boolean
  /** Share of what was new in the prompt before that is gone, and share of what that one had lost that is here again. */
  readonly abandoned: number
  readonly restored: number
  /** This prompt changed the end, and the one before did. */
  readonly endsAgain: boolean
  /** The same text to the letter. */
  readonly repeated: boolean
  readonly refused: boolean | null
}
