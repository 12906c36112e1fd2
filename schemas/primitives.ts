import { z } from 'zod'

/** Milliseconds since the Unix epoch, UTC; the same unit as OCSF's `timestamp_t`. */
export const Instant = z.int().min(0).max(8.64e15)
export type Instant = number

/** Identifiers that clients choose: bounded, printable, safe in a log line, a topic key and a URL. */
export const Name = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[\p{L}\p{N}][\p{L}\p{N}._@+:-]*$/u, 'letters, digits and . _ @ + : - only, starting with a letter or digit')
export type Name = string

/** UUID (v7 from our own producers, so that ids sort by time). */
export const EventId = z.uuid()
export type EventId = string

/** A probability, or a confidence. */
export const Unit = z.number().min(0).max(1)

/** Free text for people; bounded because outsiders can influence it. */
export const Text = z.string().max(2_000)

/** Bytes as base64, without line breaks. */
export const Bytes = z.base64().max(4_096)

/** What a finding, a lease or an action is about, written `kind:id`. */
export const TargetKind = z.enum(['principal', 'organization', 'key', 'model', 'pool', 'workload', 'cluster'])
export type TargetKind = z.infer<typeof TargetKind>
export const Target = z
  .string()
  .max(160)
  .regex(
    /^(principal|organization|key|model|pool|workload|cluster):[\p{L}\p{N}][\p{L}\p{N}._@+:-]*$/u,
    'write a target as kind:id, such as principal:alice, key:…, model:digits or pool:a',
  )
export type Target = string

export function targetOf(kind: TargetKind, id: string): Target {
  return `${kind}:${id}`
}

export function splitTarget(target: Target): { kind: TargetKind; id: string } {
  const colon = target.indexOf(':')
  return { kind: target.slice(0, colon) as TargetKind, id: target.slice(colon + 1) }
}

export const Severity = z.enum(['info', 'low', 'medium', 'high', 'critical'])
export type Severity = z.infer<typeof Severity>
/** Ascending; the index plus one is OCSF's `severity_id`. */
export const severities: readonly Severity[] = Severity.options
