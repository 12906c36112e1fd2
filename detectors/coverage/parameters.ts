import { z } from 'zod'

const minute = 60_000
const hour = 60 * minute

/** Times are event time in milliseconds. */
export const Parameters = z.object({
  missedSamples: z.int().min(1).max(1_000).default(3).describe('A node is silent when so many samples in a row did not come.'),
  staleMs: z
    .number()
    .positive()
    .default(30_000)
    .describe(
      'A node is not governed when what it knows of containments and keys is older than this, and than the samples that it may miss.',
    ),
  restateMs: z
    .number()
    .positive()
    .default(minute)
    .describe('While events are lost, or a node is not governed, that is stated again no sooner than this.'),
  goneMs: z
    .number()
    .positive()
    .default(24 * hour)
    .describe('A node that was silent for so long is taken for gone: the gap ends there, unless it comes back.'),
})
export type Parameters = z.infer<typeof Parameters>
