import { z } from 'zod'
import { EventId, Instant } from '../../../schemas/index.ts'
import { blindnessKinds } from '../partition/blindness.ts'

/** Counts raise it when equal bytes would mean something else. */
export const snapshotFormat = 2

const blindnessKind = z.enum(Object.keys(blindnessKinds) as [keyof typeof blindnessKinds])
const count = z.int().min(0)
const names = z.object({ some: z.array(z.string()), more: z.boolean() })

/** What has happened in a partition since its first record. */
export const HostCounts = z.object({
  /** Observations applied, repetitions not counted. */
  events: count,
  ticks: count,
  duplicates: count,
  late: count,
  unverifiable: count,
  clamped: count,
  /** Events and ticks whose sender's clock was off. */
  skewed: count,
  evicted: count,
  /** States dropped because nothing touched them for `idleMs`. */
  expired: count,
  threw: count,
  /** Records that the host itself failed on. Snapshots of before it was counted do not have it. */
  unapplied: count.default(0),
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
    skewed: 0,
    evicted: 0,
    expired: 0,
    threw: 0,
    unapplied: 0,
    findings: 0,
    restated: 0,
  }
}

/** A line for each (detector, key), in any order. */
export const EntrySnapshot = z.object({
  detector: z.string(),
  key: z.string(),
  /** Unique among the entries. */
  order: count,
  touched: Instant,
  wakeAt: Instant.nullable(),
  /** Opened, revision, digest; least recently revised first. */
  revisions: z.array(z.tuple([EventId, count, z.string()])),
  /** Guarded by the detector's own schema. */
  state: z.unknown(),
})

/** Some of the remembered event ids, oldest first. */
export const RecentSnapshot = z.object({ ids: z.array(EventId), times: z.array(Instant) })

/**
 * The first line of a snapshot, which is lines of JSON: this, then the remembered ids ({@link RecentSnapshot}), then the
 * states ({@link EntrySnapshot}).
 */
export const SnapshotHead = z.object({
  format: z.literal(snapshotFormat),
  topic: z.string(),
  partition: count,
  /** The offset it stands at: the first that is not in it. */
  next: count,
  detectors: z.array(z.object({ id: z.string(), version: count, stateVersion: count, params: z.string() })),
  limits: z.object({ latenessMs: z.number(), aheadMs: z.number(), rememberIds: z.number(), skewMs: z.number() }),
  watermark: z.object({ at: Instant.nullable(), confirmed: z.boolean(), claims: z.array(Instant) }),
  forgottenUntil: z.int(),
  /** How often an entry has been touched. */
  touches: count,
  gaps: z.array(
    z.object({
      kind: blindnessKind,
      opened: EventId,
      from: Instant,
      until: Instant,
      earliest: Instant,
      latest: Instant,
      firstOffset: count,
      lastOffset: count,
      count,
      detectors: z.array(z.string()),
      principals: names,
      keys: names,
      skews: z.array(z.tuple([z.string(), z.int()])),
      moreSkews: z.boolean(),
    }),
  ),
  counts: HostCounts,
})
export type SnapshotHead = z.infer<typeof SnapshotHead>
