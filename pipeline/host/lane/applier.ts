import { encode, newEvent } from '../../../bus/codec.ts'
import type { BusRecord, OutgoingRecord } from '../../../bus/port.ts'
import { letterOf } from '../../../ingest/unreadable.ts'
import type { EventId, Finding, Instant } from '../../../schemas/index.ts'
import type { HostContext } from '../context.ts'
import { findingEventId } from '../finding-id.ts'
import type { Meter } from '../host-metrics.ts'
import { readInput } from '../input.ts'
import type { HostInput, PartitionHost } from '../partition/partition-host.ts'
import { LagWatch } from './lag-watch.ts'
import { stateUnseen, type Unseen } from './unseen.ts'

/** A record that must be on the log before the one it came of counts as handled. */
export interface Debt {
  /** Of the record that it came of. */
  readonly offset: number
  readonly since: Instant
  readonly record: OutgoingRecord
}

export interface ApplierStart {
  readonly topic: string
  readonly partition: number
  readonly partitions: number
  readonly host: PartitionHost
  /** One past the newest offset known. */
  readonly end: number
  /** Counts what the host does, while it is on. */
  readonly meter: Meter
}

/**
 * The host of one partition and what it owes to the log, whoever it works for: the owner of the partition, or one who
 * follows it to take over.
 */
export class Applier {
  readonly topic: string
  readonly partition: number
  readonly partitions: number
  readonly host: PartitionHost
  readonly meter: Meter
  readonly lag: LagWatch
  end: number
  /** Findings of records before it are durable already, and are not owed. */
  quietUntil = 0
  /** By event id, in the order in which they came to be. */
  readonly debts = new Map<EventId, Debt>()
  /** What its state lacks that was known before, see `forgotten`; null where it lacks nothing. */
  forgotten: Unseen | null = null
  /** When it was last given a record. */
  fedAt: Instant
  /** The tick that was written last, until it is read back. */
  tickedTo = -1
  readonly #context: HostContext
  #behindSince: Instant | null = null
  /** Whoever touches the host waits for the one before. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor({ topic, partition, partitions, host, end, meter }: ApplierStart, context: HostContext) {
    this.topic = topic
    this.partition = partition
    this.partitions = partitions
    this.host = host
    this.end = end
    this.meter = meter
    this.#context = context
    this.lag = new LagWatch(context.objectiveMs)
    this.fedAt = context.clock()
    if (host.next < end) this.#behindSince = this.fedAt
  }

  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work)
    this.#turn = mine.catch(() => {})
    return mine
  }

  /** The partition reaches to `end`. */
  heard(end: number): void {
    this.end = Math.max(this.end, end)
    if (this.host.next < this.end) this.#behindSince ??= this.#context.clock()
  }

  /** Age of the oldest record that is not applied, about; milliseconds. */
  get lagMs(): number {
    return this.#behindSince === null || this.host.next >= this.end ? 0 : Math.max(0, this.#context.clock() - this.#behindSince)
  }

  /** Applies a record; what was applied before is ignored. */
  apply(record: BusRecord): void {
    if (record.offset < this.host.next) return
    const now = this.#context.clock()
    this.fedAt = now
    this.end = Math.max(this.end, record.offset + 1)
    const quiet = record.offset < this.quietUntil
    if (!quiet) this.lag.note(record.offset, record.timestamp, now)
    this.#feed(record, quiet, now)
    // The next one came soon after this one, where there is one.
    this.#behindSince = this.host.next < this.end ? record.timestamp : null
  }

  owe(finding: Finding, offset: number): void {
    const id = findingEventId(finding)
    const { clock, seen, source, metrics, log } = this.#context
    if (seen?.has(id) === true) return
    try {
      const record = encode('findings', newEvent('finding', finding, source, finding.time, id))
      this.debts.set(id, { offset, since: clock(), record })
    } catch (error) {
      // A finding that no record can hold must not stop the partition for ever.
      metrics.failed(finding.detector)
      log.error({ err: error, detector: finding.detector, finding: finding.id }, 'a finding could not be encoded, and is lost')
    }
  }

  oweUnseen(gap: Unseen): void {
    this.owe(stateUnseen(this, gap), gap.lastOffset)
  }

  /** What came of records before `offset` is known to be durable. */
  forgive(offset: number): void {
    for (const [id, debt] of this.debts) if (debt.offset < offset) this.debts.delete(id)
    this.lag.forget(offset)
  }

  #feed(record: BusRecord, quiet: boolean, now: Instant): void {
    let input: HostInput
    try {
      input = readInput(record)
    } catch (error) {
      this.host.passOver(record.offset)
      if (!quiet) this.#bury(record, error, now)
      return
    }
    const findings = this.host.apply(input, record.offset)
    if (findings.length === 0 || quiet) return
    if (this.meter.on) this.#context.metrics.stated(findings)
    for (const finding of findings) this.owe(finding, record.offset)
  }

  #bury(record: BusRecord, error: unknown, now: Instant): void {
    const { metrics, group } = this.#context
    if (this.meter.on) metrics.deadLetters.inc({ topic: this.topic })
    const letter = letterOf(record, error, now, group)
    this.debts.set(letter.headers.ce_id ?? '', { offset: record.offset, since: now, record: letter })
  }
}
