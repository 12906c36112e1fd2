import { z } from 'zod'
import { maxDurationMs } from '../responder.ts'

const units = { s: 1_000, m: 60_000, h: 3_600_000 } as const

/** `30s`, `10m`, `2h`, as milliseconds; 1 s to 24 h. */
export const Duration = z
  .string()
  .regex(/^\d{1,5}[smh]$/, 'write a duration as a number and s, m or h, such as 10m')
  .transform((text) => Number(text.slice(0, -1)) * units[text.slice(-1) as keyof typeof units])
  .pipe(z.int().min(1_000, 'must be at least 1s').max(maxDurationMs, 'must be at most 24h'))
