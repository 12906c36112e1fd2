import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Logger } from 'pino'
import { encode, encodeTick, newEvent } from '../../bus/codec.ts'
import { deadLetterOf } from '../../bus/dead-letter.ts'
import type { Batch, BatchControl, BusRecord, EventBus, OutgoingRecord } from '../../bus/port.ts'
import type { Finding, Instant } from '../../schemas/index.ts'
import { findingEventId } from './finding-id.ts'
import type { HostMetrics } from './host-metrics.ts'
import { readInput } from './input.ts'
import type { HostInput, PartitionHost } from './partition-host.ts'
import { serialise } from './serialise.ts'
import type { HostCounts } from './snapshot.ts'
import { otherSlot, type SnapshotLog, type SnapshotSlot } from './snapshot-log.ts'

export interface LaneContext {
  readonly bus: EventBus
  readonly snapshots: SnapshotLog
  readonly metrics: HostMetrics
  readonly log: Logger
  readonly clock: () => Instant
  readonly source: string
  readonly aheadMs: number
  readonly tickMs: number
  readonly snapshotEvery: { readonly events: number; readonly ms: number }
}

export interface LaneStart {
  readonly topic: string
  readonly partition: number
  readonly host: PartitionHost
  /** One past the newest offset when the partition was assigned. */
  readonly end: number
  /** Findings of records before it are durable already, and are not published again. */
  readonly quietUntil: number
  readonly slot: SnapshotSlot | null
}

/** Longest stretch of applying before findings go out and the event loop gets its turn, milliseconds. */
const stretchMs = 5
/** Shares of `aheadMs` behind the clock: where event time has fallen so far that it is moved, and to where. */
const staleShare = 0.9
const freshShare = 0.8

/** One assigned partition: its host, what it owes to the log, and how far each of these got. */
export class Lane {
  readonly topic: string
  readonly partition: number
  readonly host: PartitionHost
  end: number
  /** Where the newest durable snapshot stands, and when it was begun; the assignment until there is one. */
  saved: { offset: number; at: Instant }
  readonly #context: LaneContext
  readonly #quietUntil: number
  #owed: OutgoingRecord[] = []
  #counted: HostCounts
  #slot: SnapshotSlot | null
  #saving: Promise<void> | null = null
  #committing: Promise<void> | null = null
  #committed = -1
  #control: BatchControl | null = null
  #tickedTo = -1
  #fedAt: Instant
  /** Whoever touches the host waits for the one before. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(start: LaneStart, context: LaneContext) {
    this.topic = start.topic
    this.partition = start.partition
    this.host = start.host
    this.end = start.end
    this.#quietUntil = start.quietUntil
    this.#slot = start.slot
    this.#context = context
    this.#counted = { ...start.host.counts }
    this.#fedAt = context.clock()
    this.saved = { offset: start.host.next, at: this.#fedAt }
  }

  /** Applies a batch; when it resolves, its findings and dead letters are durable. A repetition of it goes on where it failed. */
  async process(batch: Batch, control: BatchControl): Promise<void> {
    await this.#exclusively(async () => {
      this.end = Math.max(this.end, batch.end)
      this.#fedAt = this.#context.clock()
      await this.#pay()
      let since = performance.now()
      for (const record of batch.records) {
        if (control.signal.aborted) break
        if (record.offset < this.host.next) continue
        this.#feed(record)
        if (performance.now() - since < stretchMs) continue
        await this.#pay()
        await nextTurn()
        since = performance.now()
      }
      await this.#pay()
      this.#commit(control)
      if (this.#snapshotDue()) await this.#snapshot()
    })
  }

  /** What the clock asks for on a partition without traffic: a tick on its log, or a snapshot. */
  async onClock(): Promise<void> {
    if (this.#snapshotDue()) {
      // Again when it is our turn: the batch before may have left findings that could not be published.
      await this.#exclusively(async () => {
        if (this.#snapshotDue()) await this.#snapshot()
      })
    }
    const until = this.#tickDue()
    if (until === null) return
    const event = newEvent('tick', { until }, this.#context.source, until)
    const [at] = await this.#context.bus.publish([encodeTick(this.topic, this.partition, event)])
    this.#tickedTo = at?.offset ?? -1
  }

  /** Ends the lane: a last snapshot, and every write that is under way. */
  async finish(): Promise<void> {
    await this.#exclusively(async () => {
      if (this.#owed.length === 0 && this.host.next > this.saved.offset) {
        await this.#saving
        await this.#snapshot()
      }
    })
    await this.#saving
    while (this.#committing !== null) await this.#committing
    if (this.#control === null || this.#owed.length > 0 || this.#committed >= this.host.next) return
    // The signal is aborted by now; the partition is still ours until this is over.
    await this.#control.commit(this.host.next).catch((error: unknown) => this.#notCommitted(error))
  }

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work)
    this.#turn = mine.catch(() => {})
    return mine
  }

  #feed(record: BusRecord): void {
    const quiet = record.offset < this.#quietUntil
    let input: HostInput
    try {
      input = readInput(record)
    } catch (error) {
      this.host.skip(record.offset)
      if (!quiet) this.#bury(record, error)
      return
    }
    const findings = this.host.apply(input, record.offset)
    if (findings.length === 0 || quiet) return
    this.#context.metrics.stated(findings)
    for (const finding of findings) this.#owe(finding)
  }

  #bury(record: BusRecord, error: unknown): void {
    const { clock, metrics, source } = this.#context
    const now = clock()
    metrics.deadLetters.inc({ topic: this.topic })
    this.#owed.push(encode('dead-letters', newEvent('dead-letter', deadLetterOf(record, error, now), source, now)))
  }

  #owe(finding: Finding): void {
    try {
      this.#owed.push(encode('findings', newEvent('finding', finding, this.#context.source, finding.time, findingEventId(finding))))
    } catch (error) {
      // A finding that no record can hold must not stop the partition for ever.
      this.#context.metrics.failed(finding.detector)
      this.#context.log.error(
        { err: error, detector: finding.detector, finding: finding.id },
        'a finding could not be encoded, and is lost',
      )
    }
  }

  async #pay(): Promise<void> {
    this.#context.metrics.counted(this.topic, this.#counted, this.host.counts)
    this.#counted = { ...this.host.counts }
    if (this.#owed.length === 0) return
    await this.#context.bus.publish(this.#owed)
    this.#owed = []
  }

  /** One commit under way at a time, and the newest offset next: the batch does not wait for it. */
  #commit(control: BatchControl): void {
    this.#control = control
    if (this.#committing !== null || this.#committed >= this.host.next || control.signal.aborted) return
    const offset = this.host.next
    this.#committing = control
      .commit(offset)
      .then(() => {
        this.#committed = offset
      })
      .catch((error: unknown) => this.#notCommitted(error))
      .finally(() => {
        this.#committing = null
        if (this.#owed.length === 0 && this.#committed === offset) this.#commit(control)
      })
  }

  #notCommitted(error: unknown): void {
    const { topic, partition } = this
    this.#context.log.warn({ err: error, topic, partition }, 'an offset could not be committed; its findings may be published again')
  }

  #snapshotDue(): boolean {
    const { clock, snapshotEvery } = this.#context
    const applied = this.host.next - this.saved.offset
    if (applied <= 0 || this.#owed.length > 0 || this.#saving !== null) return false
    return applied >= snapshotEvery.events || clock() - this.saved.at >= snapshotEvery.ms
  }

  /** Serialises while the partition stands still; compresses and writes while it goes on. */
  async #snapshot(): Promise<void> {
    const { clock, metrics, snapshots, log } = this.#context
    const { topic, partition } = this
    const stands = { offset: this.host.next, at: clock() }
    const slot = otherSlot(this.#slot)
    const stop = metrics.snapshotSeconds.startTimer()
    const json = await serialise(this.host.snapshot())
    stop()
    this.#saving = snapshots
      .write(topic, partition, slot, stands.offset, json)
      .then((bytes) => {
        this.#slot = slot
        this.saved = stands
        metrics.snapshotBytes.set({ topic, partition: String(partition) }, bytes)
      })
      .catch((error: unknown) => log.warn({ err: error, topic, partition }, 'a snapshot could not be written; the one before stands'))
      .finally(() => {
        this.#saving = null
      })
  }

  /**
   * The event time to put on the log, null for none. Only for a partition that is read to its end, and only once
   * until it was read back.
   */
  #tickDue(): Instant | null {
    const { watermark, nextWake, next } = this.host
    if (watermark === null || next < this.end || next <= this.#tickedTo) return null
    const { clock, tickMs, aheadMs } = this.#context
    const now = clock()
    if (nextWake !== null && nextWake <= now && now - this.#fedAt >= tickMs) return now
    // Event time follows the clock at a distance, or the first event after a quiet night would seem to come from a broken clock.
    return watermark < now - staleShare * aheadMs ? Math.floor(now - freshShare * aheadMs) : null
  }
}
