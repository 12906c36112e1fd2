import { z } from 'zod'
import { Name } from './primitives.ts'

/** A served model and its versions. Compacted topic `models`, keyed by name. */
export const Model = z.object({
  name: Name,
  /** The version that the bare name serves, unless a `rollback-model` lease says otherwise. */
  current: Name,
  /** Newest last. `good` versions are candidates for a roll back. */
  versions: z
    .array(z.object({ version: Name, digest: z.string().max(128), good: z.boolean() }))
    .min(1)
    .max(256),
})
export type Model = z.infer<typeof Model>
