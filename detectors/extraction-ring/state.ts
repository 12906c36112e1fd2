import { z } from 'zod'
import { AccountsState } from './accounts.ts'
import { Group } from './group.ts'
import { SketchRingState } from './sketch-ring.ts'

export const State = z.object({
  accounts: AccountsState,
  /** Queries of new accounts. */
  fresh: SketchRingState,
  /** Queries unlike ordinary traffic, whoever sent them. */
  odd: SketchRingState,
  groups: z.array(Group).max(64),
  nextGroup: z.int().min(1),
  /** The group of those who vary others' inputs, or 0. */
  varying: z.int().min(0),
})
export type State = z.infer<typeof State>
