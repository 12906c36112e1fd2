import type { ReferenceDetector } from '../reference/port.ts'

/** Published detectors, fresh: each keeps what it sees. */
export function openReferences(): readonly ReferenceDetector[] {
  return []
}
