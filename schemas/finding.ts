import { z } from 'zod'
import { EventId, Instant, Name, Severity, Text, Unit } from './primitives.ts'

/** Numbers and short strings that show why; drawn by the console, kept for forensics. */
export const Evidence = z.record(
  z.string().max(64),
  z.union([z.number(), z.string().max(512), z.boolean(), z.null(), z.array(z.union([z.number(), z.string().max(128)])).max(256)]),
)
export type Evidence = z.infer<typeof Evidence>

/** What a detector saw. Topic `findings`, keyed by scope. */
export const Finding = z.object({
  /** Hash of detector, version, scope and the event that opened the episode: equal input, equal id. */
  id: z.string().regex(/^[0-9a-f]{32}$/),
  /** 0 for the first statement of an episode; each later one of the same episode counts up. */
  revision: z.int().min(0),
  /** Event time of the deciding event (or of the timer) that raised it. */
  time: Instant,
  detector: Name,
  version: z.int().min(1),
  /** The state key it was raised under. */
  scope: z.string().max(300),
  severity: Severity,
  confidence: Unit,
  /** MITRE ATLAS technique ids. */
  threats: z.array(z.string().max(32)).max(16),
  principals: z.array(Name).max(256),
  organizations: z.array(Name).max(256),
  model: Name.nullable(),
  workload: Name.nullable(),
  pool: Name.nullable(),
  title: Text,
  evidence: Evidence,
  window: z.object({ from: Instant, until: Instant }),
  /** Events of the episode that had been seen when this was raised, the deciding one included. */
  eventsSeen: z.int().min(0),
  /** The event that tipped it, null for a timer. */
  decidedBy: EventId.nullable(),
})
export type Finding = z.infer<typeof Finding>

/**
 * Whether it states that something was not seen, or not as it should have been. That is no attack: it opens no incident,
 * and nobody is contained because of it.
 */
export function isGap({ detector }: Pick<Finding, 'detector'>): boolean {
  return detector === 'blindness' || detector === 'coverage'
}
