import type { Instant } from '../schemas/index.ts'

/** A record to append. The partition is that of `key` unless it is given. */
export interface OutgoingRecord {
  readonly topic: string
  readonly key: string | null
  /** Null is a tombstone on a compacted topic. */
  readonly value: Uint8Array | null
  readonly headers: Readonly<Record<string, string>>
  readonly timestamp: Instant
  readonly partition?: number
}

export interface Position {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** A record as read. `value` may be a view on a larger buffer: copy it to keep it. */
export interface BusRecord extends Position {
  readonly key: string | null
  readonly value: Uint8Array | null
  readonly headers: Readonly<Record<string, string>>
  /** The writer's, or the log's own where the topic says `append`. */
  readonly timestamp: Instant
}

export interface TopicConfig {
  readonly name: string
  readonly partitions: number
  /** Null: compacted. */
  readonly retentionMs: number | null
  /** Whose time records carry. Default `create`: the writer's. `append`: the log's, when it took the record. */
  readonly timestamps?: 'create' | 'append'
  /** How long every record of a compacted topic stays at least. Default 0. */
  readonly minCompactionLagMs?: number
}

/** How a topic is, against how it should be. */
export interface TopicPlan {
  readonly topic: string
  /** `differs` is for a person to decide: nothing here changes a topic that exists. */
  readonly state: 'missing' | 'same' | 'differs'
  /** Each setting as it should be; `is` is null where the topic is missing or the setting may not be seen. */
  readonly settings: readonly { readonly name: string; readonly is: string | null; readonly wanted: string; readonly differs: boolean }[]
}

/** A run of consecutive records of one partition, in order. */
export interface Batch {
  readonly topic: string
  readonly partition: number
  readonly records: readonly BusRecord[]
  /** One past the newest offset known in the partition: the lag is `end` minus the last offset minus 1. */
  readonly end: number
}

export interface ConsumerOptions {
  readonly group: string
  readonly topics: readonly string[]
  /** One member gets the same partition number of every topic: what belongs together is handled by one process. Default false. */
  readonly together?: boolean
  /** Partitions that this member could take over at once; the group gives them to it first, should it need an owner for them. */
  readonly warm?: () => readonly { readonly topic: string; readonly partition: number }[]
  /** Where a partition without a committed offset begins. Default `earliest`. */
  readonly from?: 'earliest' | 'latest'
  /** Most records in one batch. Default 1,000. */
  readonly maxBatch?: number
  /**
   * The group gave this member a partition. Return the offset to begin at to override the committed one
   * (a host that restored a snapshot), or undefined to begin there.
   */
  readonly onAssigned?: (topic: string, partition: number, control: PartitionControl) => Promise<number | undefined>
  /** The partition is being taken away: finish, commit, forget. Awaited before another member gets it, where the broker allows. */
  readonly onRevoked?: (topic: string, partition: number) => Promise<void>
  /**
   * Handles one batch; batches of one partition never overlap, batches of different partitions may. The next
   * batch of the partition is not fetched before this settles (back-pressure). If it throws, the same batch
   * is delivered again after a pause that grows to 5 s; nothing is skipped, ever: a handler that cannot
   * use a record dead-letters it and goes on.
   */
  readonly onBatch: (batch: Batch, control: PartitionControl) => Promise<void>
  /** Told of each failure that leads to a redelivery or a reconnect. */
  readonly onError?: (error: unknown) => void
}

/** A partition in the hands of a member, from its assignment to its revocation. */
export interface PartitionControl {
  /** Everything before `offset` in the partition is done with: a restart resumes at `offset`. Durable when it resolves. */
  commit(offset: number): Promise<void>
  /** Aborted when the partition is revoked or the consumer closes. */
  readonly signal: AbortSignal
  /**
   * Whether the partition is ours for certain: the group confirmed it within the session. False in a process that was
   * paused and has not heard yet that it was replaced; what it would write then must not be written.
   */
  held(): boolean
}

export interface Consumer {
  /** Waits for running handlers, then leaves the group. */
  close(): Promise<void>
}

/** A reader without a group. */
export interface Tail extends Consumer {
  /** Milliseconds since this reader last knew for certain that it had everything there was; 0 in process. */
  staleMs(): number
}

export interface TailOptions {
  readonly topic: string
  /** Which partitions. Default all, those that come later included. */
  readonly partitions?: readonly number[]
  /** `start`, `end`, or what to resume at by partition. */
  readonly from: 'start' | 'end' | ReadonlyMap<number, number>
  readonly onRecords: (records: readonly BusRecord[]) => void
  /** Called once when all that was in the topic at the call has been delivered. */
  readonly onCaughtUp?: () => void
  readonly onError?: (error: unknown) => void
}

export interface PartitionState {
  readonly topic: string
  readonly partition: number
  /** Oldest offset still there, and one past the newest. */
  readonly start: number
  readonly end: number
}

export interface GroupState {
  readonly group: string
  readonly topic: string
  readonly partition: number
  readonly committed: number | null
}

/**
 * The log everything goes through. Two adapters, `embedded` (LMDB) and `kafka` (kafkajs), pass one contract suite
 * (test/contracts/bus.ts).
 *
 * Errors are {@link CordonError}s with a code of `BusErrorCode` (bus/errors.ts).
 */
export interface EventBus {
  readonly adapter: 'embedded' | 'kafka'
  /** Creates what is missing; throws `TOPIC_MISMATCH`, with the difference, where one exists with other settings. */
  ensureTopics(topics: readonly TopicConfig[]): Promise<void>
  /** What {@link ensureTopics} would do. Changes nothing. */
  planTopics(topics: readonly TopicConfig[]): Promise<readonly TopicPlan[]>
  /**
   * Adds partitions, up to `partitions` in all. Keys lie elsewhere afterwards, so use it by the procedure in
   * docs/operating.md. Throws `TOPIC_MISMATCH` where there are more already.
   */
  growTopic(topic: string, partitions: number): Promise<void>
  /** Appends, all or an error; resolves when durable, with each record's position in the order given. */
  publish(records: readonly OutgoingRecord[]): Promise<readonly Position[]>
  /** Reads as a member of a consumer group, resuming at the committed offsets. */
  consume(options: ConsumerOptions): Promise<Consumer>
  /** Reads every partition without a group, forever, for views: each reader sees every record. */
  tail(options: TailOptions): Promise<Tail>
  /** Reads one partition from `from` up to the end as it is at the call, then ends. For replay. */
  read(topic: string, partition: number, from: number, until?: number): AsyncIterable<readonly BusRecord[]>
  /** The first offset whose record timestamp is at or after `at`, by partition; the end where there is none. */
  offsetsAt(topic: string, at: Instant): Promise<ReadonlyMap<number, number>>
  partitions(topic: string): Promise<readonly PartitionState[]>
  groups(): Promise<readonly GroupState[]>
  /** Flushes and closes; consumers are closed first. */
  close(): Promise<void>
}
