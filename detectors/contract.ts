import type { z } from 'zod'
import type { EventId, Evidence, Instant, Observation, ObservationKind, Severity } from '../schemas/index.ts'

/**
 * A detector: its parameters, its documentation and its logic in one place. Pure: no clock, no I/O, no
 * randomness; the same observations give the same findings. The host (pipeline/) owns state keys, event time,
 * timers, eviction, snapshots and ids.
 */
export interface DetectorDefinition<P extends z.ZodType = z.ZodType, S extends z.ZodType = z.ZodType> {
  /** Also its folder, its test, its metric label and its documentation anchor. */
  readonly id: string
  /** Raise it when equal input may give other findings. */
  readonly version: number
  /** Raise it when snapshots of the state look otherwise though the findings stay the same. Default 1. */
  readonly stateVersion?: number
  readonly summary: string
  /** MITRE ATLAS technique ids. */
  readonly threats: readonly string[]
  /** The kinds of event it reads; others never reach it. */
  readonly observes: readonly ObservationKind[]
  readonly params: P
  /** Guards snapshots: JSON-serialisable state must survive a round trip through it unchanged. */
  readonly state: S
  /** How many state keys the host keeps; the least recently touched go first, and eviction is counted. */
  readonly maxKeys: number
  /** State is dropped when nothing touched it for this long in event time. */
  readonly idleMs: number
  /** The state key; null means "not mine". Keys never span partitions of the topic. */
  readonly scope: (o: Observation) => string | null
  /** The key on the topic of the events of a state key: where the state lies once the topic has more partitions. Default: the state key. */
  readonly topicKey?: (scope: string) => string
  readonly start: (params: z.infer<P>) => DetectorLogic<z.infer<S>>
}

export interface DetectorLogic<St> {
  initial(at: Instant): St
  /** `undefined` is the common answer: the state was changed in place, and there is nothing to say. */
  onEvent(state: St, o: Observation): Step<St> | undefined
  /** Called when event time passes the `wakeAt` asked for; `now` is that `wakeAt`. */
  onTimer?(state: St, now: Instant): Step<St> | undefined
}

export interface Step<St> {
  /** Null drops the state. */
  readonly state: St | null
  readonly findings?: readonly FindingDraft[]
  /** Replaces an earlier request for this key. */
  readonly wakeAt?: Instant
}

/** What a detector states; the host adds id, revision, detector, version, threats, scope and time. */
export interface FindingDraft {
  /** The event that opened the episode; with detector, version and scope it makes the id. */
  readonly opened: EventId
  readonly severity: Severity
  /** Calibrated probability that this is an attack. */
  readonly confidence: number
  readonly title: string
  readonly principals: readonly string[]
  readonly organizations: readonly string[]
  readonly model: string | null
  readonly workload: string | null
  readonly pool: string | null
  readonly window: { readonly from: Instant; readonly until: Instant }
  /** Events of the episode so far, the deciding one included. */
  readonly eventsSeen: number
  readonly evidence: Evidence
  /** A subset of the definition's threats where the evidence tells; all of them by default. */
  readonly threats?: readonly string[]
}

/** Types a definition; parameters and state infer. */
export function defineDetector<P extends z.ZodType, S extends z.ZodType>(definition: DetectorDefinition<P, S>): DetectorDefinition<P, S> {
  return definition
}
