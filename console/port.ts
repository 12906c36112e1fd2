import type { NewKey } from '../access/key-commands.ts'
import type {
  Acknowledgement,
  Action,
  Containment,
  DeadLetter,
  EventId,
  Finding,
  Heartbeat,
  Incident,
  Instant,
  Key,
  Model,
  Share,
} from '../schemas/index.ts'

/** A key as people may see it: never its hash. */
export type KeyView = Omit<Key, 'hash'> & { readonly keyId: string }

export interface CreatedKey {
  readonly keyId: string
  /** Shown once; only its hash is kept. */
  readonly key: string
  readonly principal: string
  readonly organization: string | null
}

/** A containment with what the nodes said about it. */
export type ContainmentView = Containment & {
  /** Of the slowest node that acknowledged its newest decision; null until one did, or where a person decided. */
  readonly enforcedAfterMs: number | null
  readonly acknowledgements: readonly Acknowledgement[]
  /** Live nodes that have not acknowledged its newest revision; nobody's while it is not active. */
  readonly awaiting: readonly string[]
}

/** A record that was given up, as people may see it. */
export interface DeadLetterView extends DeadLetter {
  /** The id of its event. */
  readonly id: EventId
  /** Who gave it up, or sent what an intake refused. */
  readonly source: string
}

export interface ContainRequest {
  readonly target: string
  readonly action: string
  readonly parameters: Readonly<Record<string, string | number | boolean | null>>
  readonly forMs: number
  readonly reason: string
  readonly by: string
}

/** A configured limit, for people. */
export interface LimitView {
  readonly name: string
  readonly over: string
  readonly measure: string
  readonly amount: number
  /** Such as `1.0 h`, or `calendar month`. */
  readonly window: string
  readonly burst: number | null
  /** `principal=team-*`; empty for all. */
  readonly match: readonly string[]
}

/** One role's health, for `/health`, `cordon status` and the console's head. */
export interface RoleStatus {
  readonly role: 'node' | 'ingest' | 'detect' | 'respond' | 'console' | 'bus' | 'store'
  readonly ok: boolean
  /** One sentence for people: what it is doing, or what is wrong and since when. */
  readonly summary: string
  readonly detail: Readonly<Record<string, unknown>>
}

/** What a process said of itself last. */
export interface InstanceView extends Heartbeat {
  /** It spoke lately, and has not stopped. */
  readonly alive: boolean
  /** When that was heard, by the console's clock; `at` is by the process's own. */
  readonly heardAt: Instant
}

/** By consumer group. */
export interface Lag {
  readonly sink: number
  readonly detect: number
  readonly respond: number
}

export interface InstanceStatus {
  /** Of the process that answers. */
  readonly version: string
  readonly startedAt: number
  /** Every role has a process that is alive. */
  readonly ready: boolean
  /**
   * Records on the bus that the sink, the detectors and the responders have not handled yet; 0 when all is seen. Null
   * while the bus does not say.
   */
  readonly lag: Lag | null
  /** Age of the oldest of them, milliseconds, as the readers said last. */
  readonly lagMs: Lag
  readonly roles: readonly RoleStatus[]
  /** Every process that is alive, or ended within the last hour, by role and name. */
  readonly instances: readonly InstanceView[]
  /** Age of the oldest snapshot of detector state that is not current, milliseconds; null when there is none. */
  readonly snapshotAgeMs: number | null
  /** Bytes of events that wait on the nodes' disks for the bus. */
  readonly spoolBytes: number
  /** Dead letters of the last day; null while the bus does not say. */
  readonly deadLetters: number | null
}

export interface TopicStatus {
  readonly topic: string
  readonly partition: number
  readonly start: number
  readonly end: number
  /** Committed offset by consumer group. */
  readonly committed: Readonly<Record<string, number | null>>
}

/** One incident with all that belongs to it, as the API answers it. */
export interface IncidentDetail {
  readonly incident: Incident
  readonly findings: readonly Finding[]
  readonly actions: readonly Action[]
  readonly containments: readonly ContainmentView[]
}

/** Something that went unseen, or was seen worse than it should have been, or of which neither is known. */
export interface UnseenGap {
  readonly from: Instant
  /** Null: it goes on. */
  readonly until: Instant | null
  /** Something was not seen at all, rather than late or out of order. */
  readonly blind: boolean
  /** Nothing shows whether anybody was watching. */
  readonly unknown: boolean
  /** It is known to concern who was asked about; else it may. */
  readonly certain: boolean
  /** For people. */
  readonly sentence: string
}

/** Whether we were watching while an incident went on. */
export interface Unseen {
  /** `unknown`: the store, which has the ledger, does not answer. */
  readonly state: 'watched' | 'gaps' | 'unknown'
  /** What it comes to, for people; of the time looked at, which it does not name. */
  readonly answer: string
  /** The time looked at; `until` is null where it still goes on. */
  readonly from: Instant
  readonly until: Instant | null
  /** Earliest first; bounded. */
  readonly gaps: readonly UnseenGap[]
  /** Gaps that there are beyond those. */
  readonly more: number
  /** Why more may come to light, or why it is unknown: sentences. */
  readonly caveats: readonly string[]
}

export interface QueryResult {
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  readonly rows: readonly Record<string, unknown>[]
  readonly elapsedMs: number
}

/** A query of the forensic library, as help shows it. */
export interface QueryHelp {
  readonly name: string
  readonly summary: string
  readonly parameters: readonly { readonly name: string; readonly type: string; readonly default?: unknown }[]
}

/** What the console asks of the rest of the system; wired in cli/, faked in tests. Errors are CordonErrors with codes. */
export interface ConsolePorts {
  readonly keys: {
    list(): readonly KeyView[]
    create(request: NewKey, by: string): Promise<CreatedKey>
    /** Null when there is no such key. */
    revoke(keyId: string, by: string): Promise<KeyView | null>
    /** Of a key or a principal: pending successors; the old ones die after `overlapMs`. */
    rotate(what: string, overlapMs: number, by: string): Promise<readonly string[]>
    /** Makes the secret of a pending successor, once. */
    claim(what: string, by: string): Promise<CreatedKey | null>
  }
  readonly models: {
    list(): readonly Model[]
    /** Serves a version under the model's bare name; with `good`, marks it good before. */
    promote(request: { readonly model: string; readonly version: string; readonly good: boolean }, by: string): Promise<Model>
  }
  readonly incidents: {
    list(): readonly Incident[]
    get(id: string): Incident | undefined
    onChange(fn: (incident: Incident) => void): () => void
  }
  readonly findings: {
    /** The newest, newest last; bounded. Older ones are in the store. */
    recent(): readonly Finding[]
    onChange(fn: (finding: Finding) => void): () => void
  }
  readonly actions: {
    ofIncident(incident: string): readonly Action[]
    waiting(): readonly Action[]
    approve(action: string, by: string): Promise<Action | null>
  }
  readonly containments: {
    list(): readonly ContainmentView[]
    get(id: string): ContainmentView | undefined
    contain(request: ContainRequest): Promise<ContainmentView>
    release(id: string, by: string): Promise<ContainmentView | null>
    onChange(fn: (containment: ContainmentView) => void): () => void
  }
  readonly forensics: {
    list(): readonly QueryHelp[]
    query(name: string, params: Readonly<Record<string, unknown>>): Promise<QueryResult>
    /** Read only, bounded in time, rows and memory. */
    sql(text: string): Promise<QueryResult>
  }
  readonly deadLetters: {
    /** The newest, newest last. */
    list(filter: {
      readonly topic?: string | undefined
      readonly since?: Instant | undefined
      readonly limit: number
    }): Promise<readonly DeadLetterView[]>
    get(id: EventId): Promise<DeadLetterView | undefined>
    /** Publishes its record again; where it went. Null when there is no such letter. Throws where the record is gone. */
    replay(id: EventId, by: string): Promise<{ readonly topic: string; readonly partition: number; readonly offset: number } | null>
  }
  readonly limits: {
    list(): readonly LimitView[]
    /** Of one principal, key, organization or model, in windows that are not over; at most 1,000. */
    sharesOf(subject: string): readonly Share[]
  }
  status(): Promise<InstanceStatus>
  topics(): Promise<readonly TopicStatus[]>
}
