import { z } from 'zod'

export const Params = z.object({
  window: z.int().min(64).max(65_536).default(4_096).describe('queries remembered for each model'),
  linkShare: z
    .number()
    .positive()
    .max(1)
    .default(0.45)
    .describe('a query links to an earlier one within this share of its distance to the nearest reference input'),
  threshold: z.number().positive().default(8).describe('evidence, in nats, at which a cluster is stated as an attack'),
  maxClusters: z.int().min(1).max(4_096).default(256).describe('clusters kept; the least recently grown go first'),
  halfLifeMs: z
    .number()
    .positive()
    .default(6 * 60 * 60 * 1_000)
    .describe('evidence halves in this time'),
})
export type Params = z.infer<typeof Params>
