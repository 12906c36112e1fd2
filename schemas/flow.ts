import { z } from 'zod'
import { Name } from './primitives.ts'

/** One network connection (or a slice of a long one) of a serving workload. Topic `flows`, keyed by workload. */
export const FlowEvent = z.object({
  /** The serving process, container or host that the traffic comes from. */
  workload: Name,
  pool: Name.nullable(),
  /** The sensor's own id of the connection (Zeek's uid), for forensics. */
  connection: z.string().max(128).nullable(),
  destination: z.object({
    /** An address, never resolved by us. */
    address: z.string().min(1).max(64),
    port: z.int().min(0).max(65_535),
    /** Host name from TLS SNI or DNS, where the sensor saw one. */
    name: z.string().max(255).nullable(),
  }),
  protocol: z.enum(['tcp', 'udp', 'icmp', 'other']),
  service: z.string().max(32).nullable(),
  /** Payload bytes sent by the workload, and received by it. */
  bytesOut: z.int().min(0),
  bytesIn: z.int().min(0),
  durationMs: z.number().min(0),
})
export type FlowEvent = z.infer<typeof FlowEvent>
