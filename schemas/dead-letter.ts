import { z } from 'zod'
import { Instant } from './primitives.ts'

/** A record that could not be understood or processed. Topic `dead-letters`, keyed by the topic it came from. */
export const DeadLetter = z.object({
  topic: z.string().max(128),
  partition: z.int().min(0),
  /** -1 where it never reached the bus (an intake rejected it). */
  offset: z.int().min(-1),
  code: z.string().max(64),
  reason: z.string().max(2_000),
  key: z.string().max(512).nullable(),
  headers: z.record(z.string(), z.string().max(1_024)),
  /** First 8 KiB of the value, base64. */
  value: z.string().max(11_000),
  /** Bytes of the whole value. */
  size: z.int().min(0),
  at: Instant,
})
export type DeadLetter = z.infer<typeof DeadLetter>
