import { z } from 'zod'
import { Instant, Name, Text } from './primitives.ts'

export const RoleName = z.enum(['node', 'ingest', 'detect', 'respond', 'console'])
export type RoleName = z.infer<typeof RoleName>

/** A partition that an instance reads. */
export const Assignment = z.object({
  topic: z.string().max(128),
  partition: z.int().min(0),
  /** It follows the partition to take it over, and states nothing of its own. */
  standby: z.boolean(),
  /** The next offset to be handled, and one past the newest known. */
  offset: z.int().min(0),
  end: z.int().min(0),
  /** Age of the oldest record that is not handled, by the log's clock; 0 when there is none. */
  lagMs: z.number().min(0),
})
export type Assignment = z.infer<typeof Assignment>

/** Longest time between two heartbeats, milliseconds: who could claim more would count as alive for as long. */
export const longestBeatMs = 60_000

/** One process of one role, at work. Compacted topic `heartbeats`, keyed by {@link heartbeatKey}. */
export const Heartbeat = z.object({
  role: RoleName,
  instance: Name,
  version: z.string().max(64),
  startedAt: Instant,
  at: Instant,
  /** The next one is to come within so many milliseconds; three missed ones in a row mean that it is gone. */
  everyMs: z.int().min(1).max(longestBeatMs),
  /** `stopped` is the last word of an orderly stop. */
  state: z.enum(['running', 'stopping', 'stopped']),
  ok: z.boolean(),
  /** One sentence for people: what it is doing, or what is wrong and since when. */
  summary: Text,
  assignments: z.array(Assignment).max(1_024),
  /** Age of the oldest snapshot among partitions that changed since theirs; null where there is none. */
  snapshotAgeMs: z.number().min(0).nullable(),
  /** Bytes of events that wait on this machine for the bus; null where the role has no spool. */
  spoolBytes: z.int().min(0).nullable(),
  /** Records given up since it began. */
  deadLetters: z.int().min(0),
  /** Since when the store takes nothing; null when it does, or where the role stores nothing. */
  blockedSince: Instant.nullable(),
  /** Age of what this instance knows of the control topics; null where it needs none. */
  controlStaleMs: z.number().min(0).nullable(),
  /** Model versions that a node serves. */
  models: z.array(z.object({ name: Name, version: Name, digest: z.string().max(128) })).max(1_024),
  /** Digest of the fingerprint key: nodes with different ones cannot be compared. Null where the role has none. */
  fingerprintKey: z.string().max(64).nullable(),
  /** Numbers and words beyond these, for people; at most 8 KiB in JSON. */
  detail: z.record(z.string().max(64), z.json()).refine((detail) => JSON.stringify(detail).length <= 8_192, 'at most 8 KiB in JSON'),
})
export type Heartbeat = z.infer<typeof Heartbeat>

export function heartbeatKey({ role, instance }: Pick<Heartbeat, 'role' | 'instance'>): string {
  return `${role}/${instance}`
}

/** Whether an instance is alive, as far as its last word tells. */
export function isAlive(heartbeat: Heartbeat, now: Instant): boolean {
  return heartbeat.state !== 'stopped' && now - heartbeat.at <= 3 * heartbeat.everyMs
}
