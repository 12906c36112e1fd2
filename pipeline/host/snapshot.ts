import { z } from 'zod'
import { EventId, Instant } from '../../schemas/index.ts'
import { blindnessKinds } from './blindness.ts'

/** Counts raise it when equal bytes would mean something else. */
export const snapshotFormat = 1

const blindnessKind = z.enum(Object.keys(blindnessKinds) as [keyof typeof blindnessKinds])
const count = z.int().min(0)

/** What has happened in a partition since its first record. */
export const HostCounts = z.object({
  /** Observations applied, repetitions not counted. */
  events: count,
  ticks: count,
  duplicates: count,
  late: count,
  unverifiable: count,
  clamped: count,
  evicted: count,
  /** States dropped because nothing touched them for `idleMs`. */
  expired: count,
  threw: count,
  findings: count,
  /** Findings that said nothing new about their episode, and were not repeated. */
  restated: count,
})
export type HostCounts = z.infer<typeof HostCounts>

export function noCounts(): HostCounts {
  return {
    events: 0,
    ticks: 0,
    duplicates: 0,
    late: 0,
    unverifiable: 0,
    clamped: 0,
    evicted: 0,
    expired: 0,
    threw: 0,
    findings: 0,
    restated: 0,
  }
}

/** One (detector, key), least recently touched first within a detector. */
const EntrySnapshot = z.object({
  detector: z.string(),
  key: z.string(),
  touched: Instant,
  wakeAt: Instant.nullable(),
  /** Opened, revision, digest; least recently revised first. */
  revisions: z.array(z.tuple([EventId, count, z.string()])),
  /** Guarded by the detector's own schema. */
  state: z.unknown(),
})

/** Everything of a partition but its states. */
export const SnapshotHead = z.object({
  format: z.literal(snapshotFormat),
  topic: z.string(),
  partition: count,
  /** The offset it stands at: the first that is not in it. */
  next: count,
  detectors: z.array(z.object({ id: z.string(), version: count, params: z.string() })),
  watermark: z.object({ at: Instant.nullable(), confirmed: z.boolean(), claims: z.array(Instant) }),
  recent: z.object({ ids: z.array(EventId), times: z.array(Instant), forgottenUntil: z.int() }),
  gaps: z.array(
    z.object({
      kind: blindnessKind,
      opened: EventId,
      from: Instant,
      until: Instant,
      firstOffset: count,
      lastOffset: count,
      count,
      detectors: z.array(z.string()),
    }),
  ),
  counts: HostCounts,
})
export type SnapshotHead = z.infer<typeof SnapshotHead>

/**
 * The state of one partition at an offset. The states in it are the live ones: serialise before the next
 * `apply`. JSON-serialisable.
 */
export const HostSnapshot = SnapshotHead.extend({ entries: z.array(EntrySnapshot) })
export type HostSnapshot = z.infer<typeof HostSnapshot>
