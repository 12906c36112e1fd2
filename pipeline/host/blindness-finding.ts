import type { EventId, Evidence, Finding, Instant, Severity } from '../../schemas/index.ts'
import { findingId } from './finding-id.ts'

/** Who states what was not seen. */
export const blindnessDetector = 'blindness'
const version = 1

/** Where a host stands. */
export interface Place {
  readonly topic: string
  readonly partition: number
  /** Partitions that the topic has: with a key's hash they tell whether it can lie in this one. */
  readonly partitions: number
}

export interface BlindnessAccount {
  readonly kind: string
  readonly severity: Severity
  readonly title: string
  /** Where the gap began: with place and kind it makes the finding's id. */
  readonly opened: EventId
  readonly revision: number
  readonly time: Instant
  /** What is said beside kind, place and numbers. */
  readonly evidence: Evidence
  readonly window: { readonly from: Instant; readonly until: Instant }
  readonly eventsSeen: number
}

/**
 * A gap as a finding. It names no principal, workload, model or pool but in its evidence and has confidence 0, so nothing can
 * be contained because of it.
 */
export function blindnessFinding({ topic, partition, partitions }: Place, account: BlindnessAccount): Finding {
  const { kind, severity, title, opened, revision, time, evidence, window, eventsSeen } = account
  const scope = `${topic}/${partition}/${kind}`
  return {
    id: findingId(blindnessDetector, version, scope, opened),
    revision,
    time,
    detector: blindnessDetector,
    version,
    scope,
    severity,
    confidence: 0,
    threats: [],
    principals: [],
    organizations: [],
    model: null,
    workload: null,
    pool: null,
    title,
    evidence: { kind, topic, partition, partitions, ...evidence },
    window,
    eventsSeen,
    decidedBy: null,
  }
}
