import type { Finding, Instant, Severity } from '../../../schemas/index.ts'
import { blindnessDetector, blindnessFinding, type Place } from '../blindness-finding.ts'

/** Gaps that only the shell can tell, since they are not in the records. */
const kinds = {
  lagged: { severity: 'low', title: 'Records were applied later than the detection objective; whatever they show was found late' },
  retention: { severity: 'medium', title: 'Records were removed from the log before they were applied; nothing in them was seen' },
  forgotten: {
    severity: 'low',
    title: 'Detectors lost what they knew with its snapshot, and the log no longer has the records that it came of',
  },
} as const satisfies Record<string, { severity: Severity; title: string }>

/** Whether a finding is one that no replay of the log gives: what was late, removed or forgotten is not in the records. */
export function isOfTheShell({ detector: by, evidence }: Pick<Finding, 'detector' | 'evidence'>): boolean {
  return by === blindnessDetector && typeof evidence.kind === 'string' && Object.hasOwn(kinds, evidence.kind)
}

/** Records that were not seen, not in time, or seen and forgotten: all from the first offset to the last. */
export interface Unseen {
  readonly kind: keyof typeof kinds
  readonly firstOffset: number
  readonly lastOffset: number
  /** When the log took the first and the last of them, or bounds of it; of what was forgotten, since its oldest key was touched last. */
  readonly from: Instant
  readonly until: Instant
  /** How late the latest of them was, milliseconds; null where they were never applied, or in time. */
  readonly worstMs: number | null
  /** The record from which on it is known again. It names the gap: the same first records can be forgotten more than once. */
  readonly againFrom?: number
}

/**
 * The finding that states a gap. Its id follows from where the gap begins (or ends, see `againFrom`), and its revision from how
 * long it is: whoever states it after a crash states it under the same id, and the longer account counts.
 */
export function stateUnseen(place: Place, gap: Unseen): Finding {
  const { kind, firstOffset, lastOffset, from, until, worstMs, againFrom = firstOffset } = gap
  const count = lastOffset - firstOffset + 1
  return blindnessFinding(place, {
    kind,
    ...kinds[kind],
    opened: `${place.topic}/${place.partition}@${againFrom}`,
    revision: count - 1,
    time: until,
    evidence: {
      count,
      firstOffset,
      lastOffset,
      earliest: from,
      latest: until,
      // It names nobody: it concerns all whose records lie in the partition.
      morePrincipals: true,
      ...(worstMs === null ? {} : { worstMs }),
    },
    window: { from, until },
    eventsSeen: 0,
  })
}
