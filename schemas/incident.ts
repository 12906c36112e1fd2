import { z } from 'zod'
import { Instant, Name, Severity, Target, Text, Unit } from './primitives.ts'

export const IncidentState = z.enum(['open', 'contained', 'closed'])

/** Findings about the same subjects, grouped. Compacted topic `incidents`, keyed by id. */
export const Incident = z.object({
  id: z.string().regex(/^[0-9a-f]{32}$/),
  state: IncidentState,
  title: Text,
  severity: Severity,
  confidence: Unit,
  threats: z.array(z.string().max(32)).max(32),
  detectors: z.array(Name).max(32),
  principals: z.array(Name).max(256),
  organizations: z.array(Name).max(256),
  models: z.array(Name).max(32),
  workloads: z.array(Name).max(32),
  pools: z.array(Name).max(32),
  /** What the findings are about: incidents are grouped by these. */
  targets: z.array(Target).max(512),
  /** Ids of the findings in it, newest last; at most 100 are named, `findingCount` is exact. */
  findings: z.array(z.string()).max(100),
  findingCount: z.int().min(1),
  openedAt: Instant,
  updatedAt: Instant,
  /** How often it was contained before: degrees rise with it. */
  repetitions: z.int().min(0),
  closedAt: Instant.nullable(),
})
export type Incident = z.infer<typeof Incident>
