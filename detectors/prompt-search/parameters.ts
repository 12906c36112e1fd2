import { z } from 'zod'

export const Params = z.object({
  /** Prompts remembered of a model. */
  window: z.int().min(16).max(8_192).default(2_048),
  /** Evidence for a finding, nats. */
  threshold: z.number().min(1).max(50).default(7),
  /** Groups of alike prompts that are followed at once. */
  maxClusters: z.int().min(8).max(4_096).default(512),
})
export type Params = z.infer<typeof Params>
