import { z } from 'zod'
import { Instant } from './primitives.ts'

/**
 * Time passing on an idle partition, put on the log by the detector host so that a replay sees the same
 * timers fire: event time has reached `until` here.
 */
export const TickEvent = z.object({ until: Instant })
export type TickEvent = z.infer<typeof TickEvent>
