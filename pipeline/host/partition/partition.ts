import type { Finding, Instant, Observation } from '../../../schemas/index.ts'
import { HostError } from '../errors.ts'
import { derivedUuid } from '../finding-id.ts'
import { type HostedDetector, openSlots, type Slot } from '../hosted.ts'
import { type Limits, limitsOf } from '../limits.ts'
import type { SnapshotCut } from '../snapshot/cut.ts'
import { restorePartition } from '../snapshot/restore.ts'
import { type HostCounts, snapshotFormat } from '../snapshot/snapshot.ts'
import { Detectors } from './detectors.ts'
import { Ledger } from './ledger.ts'
import type { HostInput, PartitionHost, PartitionHostOptions, SnapshotLines, Stamped } from './partition-host.ts'
import { RecentIds } from './recent-ids.ts'
import { judgeTime } from './sender-clock.ts'
import { aboutFailed, aboutOf } from './subjects.ts'
import { timerOrder } from './timer-heap.ts'
import { Watermark } from './watermark.ts'

/** @throws HostError `HOST_INVALID` for two detectors of one id, ZodError for parameters that do not parse */
export function createPartitionHost(detectors: readonly HostedDetector[], options: PartitionHostOptions): PartitionHost {
  return new DetectorPartition(openSlots(detectors), options)
}

/** Event time of a partition, and what happens at it: records are admitted, timers fire and gaps are stated in one order. */
class DetectorPartition implements PartitionHost {
  next = 0
  readonly #options: PartitionHostOptions
  readonly #limits: Limits
  readonly #slots: readonly Slot[]
  readonly #ledger: Ledger
  readonly #detectors: Detectors
  #watermark: Watermark
  #recent: RecentIds

  constructor(slots: readonly Slot[], options: PartitionHostOptions) {
    const { topic, partition, partitions = 1 } = options
    this.#options = options
    this.#slots = slots
    this.#limits = limitsOf(options)
    if (this.#limits.rememberIds < 1) throw new HostError('HOST_INVALID', 'hosting detectors: rememberIds must be at least 1')
    this.#watermark = new Watermark(this.#limits)
    this.#recent = new RecentIds(this.#limits.rememberIds)
    this.#ledger = new Ledger({ topic, partition, partitions })
    this.#detectors = new Detectors(slots, this.#ledger, (...failure) => this.#tell(() => options.onFault?.(...failure)))
  }

  get watermark(): Instant | null {
    return this.#watermark.at
  }

  get nextWake(): Instant | null {
    const timer = this.#detectors.next?.wakeAt ?? null
    const gap = this.#ledger.dueGap()?.at ?? null
    if (timer === null || gap === null) return timer ?? gap
    return Math.min(timer, gap)
  }

  get counts(): Readonly<HostCounts> {
    return this.#ledger.counts
  }

  keys(): Record<string, number> {
    return this.#detectors.keys()
  }

  apply(event: HostInput, offset: number): Finding[] {
    if (offset < this.next) return []
    this.next = offset + 1
    this.#ledger.begin(event.id, offset)
    try {
      if (event.kind === 'tick') this.#onTick(event)
      else this.#observe(event)
    } catch (error) {
      this.#miss(event, error)
    }
    return this.#ledger.findings
  }

  passOver(offset: number): void {
    this.next = Math.max(this.next, offset + 1)
  }

  tick(until: Instant): Finding[] {
    const { topic, partition } = this.#options
    this.#ledger.begin(derivedUuid(`tick/${topic}/${partition}/${this.next}/${until}`), this.next)
    this.#tick(until)
    return this.#ledger.findings
  }

  cut(): SnapshotCut {
    const { topic, partition } = this.#options
    const recent = this.#recent.snapshot()
    const head = {
      format: snapshotFormat,
      topic,
      partition,
      next: this.next,
      limits: { ...this.#limits },
      watermark: this.#watermark.snapshot(),
      forgottenUntil: recent.forgottenUntil,
      ...this.#ledger.snapshot(),
    } as const
    return this.#detectors.cut(head, recent)
  }

  async restore(lines: SnapshotLines): Promise<void> {
    const { topic, partition } = this.#options
    const what = { topic, partition, limits: this.#limits, slots: this.#slots }
    await restorePartition(lines, what, {
      head: ({ next, counts, watermark, forgottenUntil, touches, gaps }) => {
        this.next = next
        this.#watermark = new Watermark(this.#limits, watermark)
        this.#recent = new RecentIds(this.#limits.rememberIds, { ids: [], times: [], forgottenUntil })
        this.#ledger.restore({ gaps, counts })
        this.#detectors.restore(touches)
      },
      recent: ({ ids, times }) => {
        for (const [index, id] of ids.entries()) this.#recent.add(id, times[index] ?? 0)
      },
      entry: (restored) => this.#detectors.add(restored),
    })
  }

  /**
   * The host itself failed, and would on this record again: it is passed over, which is stated. What had come of it by then
   * stays, as it does whenever the log is replayed.
   */
  #miss(event: HostInput, error: unknown): void {
    const claimed = event.kind === 'tick' ? event.data.until : event.time
    const time = Math.min(claimed, event.stamp?.appendedAt ?? claimed)
    const ledger = this.#ledger
    ledger.note('unapplied', this.#watermark.at ?? time, aboutFailed(event, time))
    // Where it fails on every record, nothing else comes to stating it.
    const reached = Math.max(this.#watermark.at ?? 0, time)
    for (let due = ledger.dueGap(); due !== undefined && due.at <= reached; due = ledger.dueGap()) ledger.stateGap(due)
    this.#tell(() => this.#options.onUnapplied?.(this.next - 1, error))
  }

  /** A host's clock can be off, too: its ticks are bounded like every sender's times. */
  #onTick({ data, source, stamp }: Extract<HostInput, { kind: 'tick' }>): void {
    const { time, skewMs } = judgeTime(data.until, stamp, this.#limits.skewMs)
    this.#tick(time)
    if (skewMs !== null) this.#ledger.note('skewed', this.#watermark.at ?? time, { skew: { source, ms: skewMs } })
  }

  #tick(until: Instant): void {
    this.#ledger.counts.ticks += 1
    this.#watermark.tick(until)
    this.#pass(this.#watermark.at ?? until)
  }

  #observe(event: Observation & Stamped): void {
    const ledger = this.#ledger
    if (this.#recent.has(event.id)) {
      ledger.counts.duplicates += 1
      return
    }
    const judged = judgeTime(event.time, event.stamp, this.#limits.skewMs)
    const { time, verdict } = this.#watermark.admit(judged.time, judged.vouched)
    const now = this.#watermark.at ?? time
    ledger.counts.events += 1
    if (verdict === 'restarted') this.#startAgain(now)
    if (judged.skewMs !== null) ledger.note('skewed', now, { ...aboutOf(event, time), skew: { source: event.source, ms: judged.skewMs } })
    if (verdict === 'late') ledger.note('late', now, aboutOf(event, time))
    else if (verdict !== 'on-time') ledger.note('clamped', now, aboutOf(event, time))
    if (this.#recent.forgot(time)) ledger.note('unverifiable', now, aboutOf(event, time))
    this.#recent.add(event.id, time)
    this.#pass(now)
    this.#detectors.observe(time === event.time ? event : { ...event, time }, now)
    // A wake that was asked for at or before the watermark has been reached already.
    this.#pass(now)
  }

  /** Fires, in the order of (time, detector, key), all that is due by `until`, and drops what was idle by then. */
  #pass(until: Instant): void {
    const detectors = this.#detectors
    if ((this.nextWake ?? Number.POSITIVE_INFINITY) > until) {
      detectors.expire(until)
      return
    }
    for (;;) {
      const entry = detectors.next
      const gap = this.#ledger.dueGap()
      const timer = entry === undefined ? undefined : { at: entry.wakeAt ?? 0, detector: entry.detector, key: entry.key }
      if (gap !== undefined && gap.at <= until && (timer === undefined || timerOrder(gap, timer) < 0)) {
        detectors.expire(gap.at)
        this.#ledger.stateGap(gap)
        continue
      }
      if (entry === undefined || timer === undefined || timer.at > until) break
      detectors.expire(timer.at)
      detectors.wake(entry, timer.at)
    }
    detectors.expire(until)
  }

  #startAgain(at: Instant): void {
    this.#ledger.rebase(at)
    this.#detectors.forget()
  }

  /** Whoever is told may fail, as a log on a full disk does: findings never depend on it. */
  #tell(listener: () => void): void {
    try {
      listener()
    } catch {}
  }
}
