import { z } from 'zod'
import { Name } from './primitives.ts'

/** A periodic sample of one node. Topic `telemetry`, keyed by node. A node that stops sending it is a gap. */
export const TelemetryEvent = z.object({
  node: Name,
  pool: Name.nullable(),
  /** Counts since the node's process began. */
  requests: z.int().min(0),
  emitted: z.int().min(0),
  /** Events lost because the spool was full or the disk refused; each is a stated gap. */
  dropped: z.int().min(0),
  spoolBytes: z.int().min(0),
  /** Event-loop delay p99, milliseconds. */
  loopDelayMs: z.number().min(0),
  memoryBytes: z.int().min(0),
  tensorBytes: z.int().min(0),
  queueDepth: z.int().min(0),
  /** The next sample is to come within so many milliseconds. Since 1.1. */
  everyMs: z.int().min(1).default(5_000),
  /** The node's last word before an orderly stop: the silence after it is no gap. Since 1.1. */
  closing: z.boolean().default(false),
  /** Age of what the node knows of containments and keys. Since 1.1. */
  controlStaleMs: z.number().min(0).default(0),
})
export type TelemetryEvent = z.infer<typeof TelemetryEvent>
