import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Batch, PartitionControl } from '../../../bus/port.ts'
import type { HostContext } from '../context.ts'
import { HostError } from '../errors.ts'
import { SnapshotKeeper } from '../snapshot/snapshot-keeper.ts'
import type { Applier } from './applier.ts'
import { tickWhereDue } from './tick.ts'

/** Longest stretch of applying before findings go out and the event loop gets its turn, milliseconds. */
const stretchMs = 5

/** A partition that is ours: applies what comes, states what came of it, and commits it. */
export class Lane {
  readonly work: Applier
  readonly snapshots: SnapshotKeeper
  readonly #context: HostContext
  readonly #control: PartitionControl
  #counted: Applier['host']['counts']
  #committing: Promise<void> | null = null
  #committed: number
  #looking: Promise<void> | null = null

  /** @param committed what came of records before it is durable, by the group's word */
  constructor(work: Applier, committed: number, control: PartitionControl, context: HostContext) {
    this.work = work
    this.#context = context
    this.#control = control
    this.#committed = committed
    this.#counted = { ...work.host.counts }
    this.snapshots = new SnapshotKeeper(work, context)
    work.quietUntil = committed
    work.forgive(committed)
    if (work.forgotten !== null) work.oweUnseen(work.forgotten)
    work.meter.on = true
  }

  /**
   * Applies a batch; when it resolves, its findings and dead letters are durable. A repetition of it goes on where it failed.
   *
   * @throws HostError `PARTITION_UNCERTAIN` where there is something to state and the partition may be someone else's
   */
  async process(batch: Batch): Promise<void> {
    await this.work.exclusively(async () => {
      this.work.heard(batch.end)
      await this.#stateHole(batch)
      await this.#pay()
      let since = performance.now()
      for (const record of batch.records) {
        if (this.#control.signal.aborted) break
        this.work.apply(record)
        if (performance.now() - since < stretchMs) continue
        await this.#pay()
        await nextTurn()
        since = performance.now()
      }
      await this.#pay()
      this.#commit()
      if (this.snapshots.due) await this.#snapshot()
    })
  }

  /** What the clock asks for: what could not be written before, a snapshot, or a tick on a partition without traffic. */
  look(): Promise<void> {
    this.#looking ??= this.#look()
      .catch((error: unknown) => {
        const { topic, partition } = this.work
        this.#context.log.warn({ err: error, topic, partition }, 'a partition is behind with its writes; trying again')
      })
      .finally(() => {
        this.#looking = null
      })
    return this.#looking
  }

  /** The partition is someone else's from now on; resolves when nothing more is written for it. What is owed stays owed. */
  async rest(): Promise<Applier> {
    this.#context.metrics.released(this.work)
    await Promise.all([this.snapshots.stop(), this.#settle()])
    this.work.meter.on = false
    return this.work
  }

  /** As {@link rest}, with a last snapshot. */
  async finish(): Promise<void> {
    await this.#settle()
    await this.work.exclusively(async () => {
      if (this.work.debts.size === 0) await this.snapshots.last(this.#held)
    })
    await this.rest()
  }

  /** Pays and commits, as far as it can. */
  async #settle(): Promise<void> {
    await this.#looking
    await this.work.exclusively(async () => {
      try {
        await this.#pay(true)
      } catch (error) {
        const { topic, partition } = this.work
        this.#context.log.warn({ err: error, topic, partition }, 'findings could not be published before the partition went')
      }
    })
    while (this.#committing !== null) await this.#committing
    // The signal is aborted by now; the partition is still ours until this is over.
    if (this.#committable > this.#committed && this.#held()) await this.#commitNow()
  }

  async #look(): Promise<void> {
    const { work } = this
    if (work.debts.size > 0 || work.lag.bound < work.host.next || this.snapshots.due) {
      await work.exclusively(async () => {
        await this.#pay(work.host.next >= work.end)
        if (this.snapshots.due) await this.#snapshot()
      })
    }
    this.#commit()
    if (this.#held()) await tickWhereDue(work, this.#context)
  }

  readonly #held = (): boolean => this.#control.held()

  /** @param all gaps that still grow, too */
  async #pay(all = false): Promise<void> {
    const { work } = this
    const { metrics, bus, clock } = this.#context
    metrics.counted(work.topic, this.#counted, work.host.counts)
    this.#counted = { ...work.host.counts }
    for (const gap of work.lag.take(clock(), all)) work.oweUnseen(gap)
    if (work.debts.size === 0) return
    if (!this.#held()) {
      throw new HostError(
        'PARTITION_UNCERTAIN',
        `${work.topic}/${work.partition}: the group has not confirmed that it is ours; stating nothing until it does`,
      )
    }
    const owed = [...work.debts]
    await bus.publish(owed.map(([, { record }]) => record))
    for (const [id] of owed) work.debts.delete(id)
  }

  /** One past what is durable with all that came of it. */
  get #committable(): number {
    const { debts, lag, host } = this.work
    return debts.size > 0 ? this.#committed : Math.min(host.next, lag.bound)
  }

  /** One commit under way at a time, and the newest offset next: the batch does not wait for it. */
  #commit(): void {
    if (this.#control.signal.aborted || this.#committing !== null) return
    if (this.#committable <= this.#committed || !this.#held()) return
    this.#committing = this.#commitNow().then((succeeded) => {
      this.#committing = null
      if (succeeded) this.#commit()
    })
  }

  async #commitNow(): Promise<boolean> {
    const offset = this.#committable
    const { topic, partition } = this.work
    try {
      await this.#control.commit(offset)
      this.#committed = offset
      return true
    } catch (error) {
      const text = 'an offset could not be committed; its findings may be published again'
      this.#context.log.warn({ err: error, topic, partition }, text)
      return false
    }
  }

  async #snapshot(): Promise<void> {
    // A gap that goes on is not in the snapshot.
    await this.#pay(true)
    if (this.#held()) this.snapshots.begin(this.#held)
  }

  /** Retention overtook us where a batch begins beyond what was applied. */
  async #stateHole({ topic, partition, records }: Batch): Promise<void> {
    const { work } = this
    const [first] = records
    const { next, watermark } = work.host
    if (first === undefined || first.offset <= next || next < work.quietUntil) return
    const bounds = (await this.#context.bus.partitions(topic)).find((state) => state.partition === partition)
    const lastOffset = Math.min(first.offset, bounds?.start ?? 0) - 1
    if (lastOffset < next) return
    const until = first.timestamp
    work.oweUnseen({ kind: 'retention', firstOffset: next, lastOffset, from: Math.min(watermark ?? 0, until), until, worstMs: null })
  }
}
