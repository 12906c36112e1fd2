import { createHash } from 'node:crypto'
import type { EventId, Finding } from '../../schemas/index.ts'

/** 32 hex digits of SHA-256 over detector, version, scope and the event that opened the episode. */
export function findingId(detector: string, version: number, scope: string, opened: EventId): string {
  return sha256(JSON.stringify([detector, version, scope, opened])).slice(0, 32)
}

/** The CloudEvents id of a finding: the same finding published twice is the same event. UUIDv8, RFC 9562 §5.8. */
export function findingEventId(finding: Pick<Finding, 'id' | 'revision'>): EventId {
  return derivedUuid(`finding/${finding.id}/${finding.revision}`)
}

/** A UUIDv8 of 122 bits of SHA-256 of a name. */
export function derivedUuid(name: string): EventId {
  const hex = sha256(name)
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 0x3) | 0x8).toString(16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/** @returns 64 hex digits */
export function sha256(text: string | Uint8Array): string {
  return createHash('sha256').update(text).digest('hex')
}
