import { z } from 'zod'

/** The audit trail: what happened, provably. */
export const AuditConfiguration = z
  .strictObject({
    enabled: z.boolean().default(true).describe('chain and sign what was asked, answered and ordered'),
    record: z
      .enum(['all', 'decisions'])
      .default('all')
      .describe('decisions leaves out requests that were served as they were asked; what people order is always kept'),
    checkpointRecords: z.int().min(1).max(1_000_000).default(1_000).describe('a checkpoint is signed after so many records'),
    checkpointMs: z
      .int()
      .min(100)
      .max(86_400_000)
      .default(10_000)
      .describe('and after so long where there were any: what is younger can be cut off unseen by whoever holds the log'),
  })
  .prefault({})
