import type { Step } from '../../../detectors/contract.ts'
import type { EventId, Finding, Instant, Observation } from '../../../schemas/index.ts'
import { HostError } from '../errors.ts'
import { derivedUuid } from '../finding-id.ts'
import { type HostedDetector, openSlots, type Slot, slotsByKind } from '../hosted.ts'
import { type Limits, limitsOf } from '../limits.ts'
import { SnapshotCut } from '../snapshot/cut.ts'
import { restorePartition } from '../snapshot/restore.ts'
import { type HostCounts, noCounts, type SnapshotHead, snapshotFormat } from '../snapshot/snapshot.ts'
import { Blindness, type BlindnessKind, type Gap, type Sighting } from './blindness.ts'
import { type Entry, newEntry } from './keyed-state.ts'
import type { HostInput, PartitionHost, PartitionHostOptions, SnapshotLines, Stamped } from './partition-host.ts'
import { RecentIds } from './recent-ids.ts'
import { judgeTime } from './sender-clock.ts'
import { stateFinding } from './statement.ts'
import { aboutFailed, aboutOf, subjectsOf } from './subjects.ts'
import { type Due, TimerHeap, timerOrder } from './timer-heap.ts'
import { Watermark } from './watermark.ts'

/** @throws HostError `HOST_INVALID` for two detectors of one id, ZodError for parameters that do not parse */
export function createPartitionHost(detectors: readonly HostedDetector[], options: PartitionHostOptions): PartitionHost {
  return new DetectorPartition(openSlots(detectors), options)
}

const longestKey = 300
const noSlots: readonly Slot[] = []

class DetectorPartition implements PartitionHost {
  next = 0
  readonly #options: PartitionHostOptions
  readonly #slots: readonly Slot[]
  readonly #slotOf: ReadonlyMap<string, Slot>
  readonly #byKind: ReturnType<typeof slotsByKind>
  readonly #timers = new TimerHeap()
  readonly #limits: Limits
  #watermark: Watermark
  #recent: RecentIds
  #blindness: Blindness
  #counts = noCounts()
  /** What is being applied. */
  #record: EventId = ''
  #offset = 0
  #out: Finding[] = []
  #cut: SnapshotCut | null = null
  #touches = 0

  constructor(slots: readonly Slot[], options: PartitionHostOptions) {
    this.#options = options
    this.#slots = slots
    this.#slotOf = new Map(slots.map((slot) => [slot.definition.id, slot]))
    this.#byKind = slotsByKind(slots)
    this.#limits = limitsOf(options)
    if (this.#limits.rememberIds < 1) throw new HostError('HOST_INVALID', 'hosting detectors: rememberIds must be at least 1')
    this.#watermark = this.#newWatermark()
    this.#recent = new RecentIds(this.#limits.rememberIds)
    this.#blindness = this.#newBlindness()
  }

  get watermark(): Instant | null {
    return this.#watermark.at
  }

  get nextWake(): Instant | null {
    const timer = this.#timers.peek()?.wakeAt ?? null
    const gap = this.#blindness.due()?.at ?? null
    if (timer === null || gap === null) return timer ?? gap
    return Math.min(timer, gap)
  }

  get counts(): Readonly<HostCounts> {
    return this.#counts
  }

  keys(): Record<string, number> {
    return Object.fromEntries(this.#slots.map((slot) => [slot.definition.id, slot.keys.size]))
  }

  apply(event: HostInput, offset: number): Finding[] {
    if (offset < this.next) return []
    this.next = offset + 1
    this.#begin(event.id, offset)
    try {
      if (event.kind === 'tick') this.#onTick(event)
      else this.#observe(event)
    } catch (error) {
      this.#miss(event, error)
    }
    return this.#out
  }

  skip(offset: number): void {
    this.next = Math.max(this.next, offset + 1)
  }

  tick(until: Instant): Finding[] {
    this.#begin(derivedUuid(`tick/${this.#scope}/${this.next}/${until}`), this.next)
    this.#tick(until)
    return this.#out
  }

  cut(): SnapshotCut {
    this.#cut?.cancel()
    const { topic, partition } = this.#options
    const recent = this.#recent.snapshot()
    const head: SnapshotHead = {
      format: snapshotFormat,
      topic,
      partition,
      next: this.next,
      detectors: this.#slots.map(({ identity }) => ({ ...identity })),
      limits: { ...this.#limits },
      watermark: this.#watermark.snapshot(),
      forgottenUntil: recent.forgottenUntil,
      touches: this.#touches,
      gaps: this.#blindness.snapshot(),
      counts: { ...this.#counts },
    }
    const keys = this.#slots.map((slot) => slot.keys)
    this.#cut = new SnapshotCut(head, recent, keys)
    return this.#cut
  }

  async restore(lines: SnapshotLines): Promise<void> {
    const { topic, partition } = this.#options
    const what = { topic, partition, limits: this.#limits, slots: this.#slots }
    await restorePartition(lines, what, {
      head: ({ next, counts, watermark, forgottenUntil, touches, gaps }) => {
        this.#touches = touches
        this.next = next
        this.#counts = { ...counts }
        this.#watermark = this.#newWatermark(watermark)
        this.#recent = new RecentIds(this.#limits.rememberIds, { ids: [], times: [], forgottenUntil })
        this.#blindness = this.#newBlindness(gaps)
      },
      recent: ({ ids, times }) => {
        for (const [index, id] of ids.entries()) this.#recent.add(id, times[index] ?? 0)
      },
      entry: ({ slot, entry, wakeAt }) => {
        slot.keys.add(entry)
        this.#timers.set(entry, wakeAt)
      },
    })
  }

  get #scope(): string {
    return `${this.#options.topic}/${this.#options.partition}`
  }

  #newWatermark(state?: ConstructorParameters<typeof Watermark>[1]): Watermark {
    return new Watermark(this.#limits, state)
  }

  /** What is stated and noted from here on comes of this record. */
  #begin(record: EventId, offset: number): void {
    this.#record = record
    this.#offset = offset
    this.#out = []
  }

  #newBlindness(gaps?: ConstructorParameters<typeof Blindness>[1]): Blindness {
    const { topic, partition, partitions = 1 } = this.#options
    return new Blindness({ topic, partition, partitions }, gaps)
  }

  /**
   * The host itself failed, and would on this record again: it is passed over, which is stated. What had come of it by then
   * stays, as it does whenever the log is replayed.
   */
  #miss(event: HostInput, error: unknown): void {
    const claimed = event.kind === 'tick' ? event.data.until : event.time
    const time = Math.min(claimed, event.stamp?.appendedAt ?? claimed)
    this.#note('unapplied', this.#watermark.at ?? time, aboutFailed(event, time))
    // Where it fails on every record, nothing else comes to stating it.
    const reached = Math.max(this.#watermark.at ?? 0, time)
    for (let due = this.#blindness.due(); due !== undefined && due.at <= reached; due = this.#blindness.due()) this.#stateGap(due)
    this.#tell(() => this.#options.onUnapplied?.(this.#offset, error))
  }

  /** A host's clock can be off, too: its ticks are bounded as any sender's times are. */
  #onTick({ data, source, stamp }: Extract<HostInput, { kind: 'tick' }>): void {
    const { time, skewMs } = judgeTime(data.until, stamp, this.#limits.skewMs)
    this.#tick(time)
    if (skewMs !== null) this.#note('skewed', this.#watermark.at ?? time, { skew: { source, ms: skewMs } })
  }

  #tick(until: Instant): void {
    this.#counts.ticks += 1
    this.#watermark.tick(until)
    this.#pass(this.#watermark.at ?? until)
  }

  #observe(event: Observation & Stamped): void {
    if (this.#recent.has(event.id)) {
      this.#counts.duplicates += 1
      return
    }
    const judged = judgeTime(event.time, event.stamp, this.#limits.skewMs)
    const { time, verdict } = this.#watermark.admit(judged.time, judged.vouched)
    const now = this.#watermark.at ?? time
    this.#counts.events += 1
    if (verdict === 'restarted') this.#startAgain(now)
    if (judged.skewMs !== null) this.#note('skewed', now, { ...aboutOf(event, time), skew: { source: event.source, ms: judged.skewMs } })
    if (verdict === 'late') this.#note('late', now, aboutOf(event, time))
    else if (verdict !== 'on-time') this.#note('clamped', now, aboutOf(event, time))
    if (this.#recent.forgot(time)) this.#note('unverifiable', now, aboutOf(event, time))
    this.#recent.add(event.id, time)
    this.#pass(now)
    const observation = time === event.time ? event : { ...event, time }
    for (const slot of this.#byKind.get(event.kind) ?? noSlots) this.#deliver(slot, observation, now)
    // A wake that was asked for at or before the watermark has been reached already.
    this.#pass(now)
  }

  #deliver(slot: Slot, observation: Observation, now: Instant): void {
    let key: string | null = null
    try {
      key = slot.definition.scope(observation)
      if (key === null) return
      const entry = this.#entry(slot, key, observation.time, now)
      const step = slot.logic.onEvent(entry.state, observation)
      if (step !== undefined) this.#settle(slot, entry, step, { time: observation.time, decidedBy: observation, earliest: now })
    } catch (error) {
      this.#fault(slot, key, error, { now, observation })
    }
  }

  #entry(slot: Slot, key: string, time: Instant, now: Instant): Entry {
    const known = slot.keys.get(key)
    if (known !== undefined) {
      this.#cut?.keep(known)
      slot.keys.touch(known, now, ++this.#touches)
      return known
    }
    if (key.length > longestKey) {
      throw new HostError('DETECTOR_FAULT', `${slot.definition.id}: a scope of ${key.length} characters; at most ${longestKey} are kept`)
    }
    const entry = newEntry(slot.definition.id, key, slot.logic.initial(time), now, ++this.#touches)
    const oldest = slot.keys.oldest
    if (slot.keys.size >= slot.definition.maxKeys && oldest !== null) {
      this.#drop(slot, oldest)
      this.#counts.evicted += 1
      const concerns = { from: oldest.touched, until: now }
      this.#note('evicted', now, { concerns, detector: slot.definition.id, principal: null, keys: [oldest.key] })
    }
    slot.keys.add(entry)
    return entry
  }

  /** Takes over what a detector answered. `earliest` is the first instant that a wake may be asked for. */
  #settle(slot: Slot, entry: Entry, step: Step<unknown>, at: { time: Instant; decidedBy: Observation | null; earliest: Instant }): void {
    entry.state = step.state
    for (const draft of step.findings ?? []) {
      try {
        const finding = stateFinding(slot.definition, entry, draft, { time: at.time, decidedBy: at.decidedBy?.id ?? null })
        if (finding === null) this.#counts.restated += 1
        else this.#state(finding)
      } catch (error) {
        this.#refuse(slot, entry.key, error, { now: at.earliest, observation: at.decidedBy })
      }
    }
    if (step.state === null) {
      this.#drop(slot, entry)
    } else if (step.wakeAt !== undefined) {
      if (!Number.isFinite(step.wakeAt)) throw new HostError('DETECTOR_FAULT', `${slot.definition.id}: asked to be woken at ${step.wakeAt}`)
      this.#timers.set(entry, Math.max(Math.ceil(step.wakeAt), at.earliest))
    }
  }

  /** Fires, in the order of (time, detector, key), all that is due by `until`, and drops what was idle by then. */
  #pass(until: Instant): void {
    if ((this.nextWake ?? Number.POSITIVE_INFINITY) > until) {
      this.#expire(until)
      return
    }
    for (;;) {
      const entry = this.#timers.peek()
      const gap = this.#blindness.due()
      const timer = entry === undefined ? undefined : { at: entry.wakeAt ?? 0, detector: entry.detector, key: entry.key }
      if (gap !== undefined && gap.at <= until && (timer === undefined || timerOrder(gap, timer) < 0)) {
        this.#expire(gap.at)
        this.#stateGap(gap)
        continue
      }
      if (entry === undefined || timer === undefined || timer.at > until) break
      this.#expire(timer.at)
      if (entry.heapIndex >= 0) this.#wake(entry, timer.at)
    }
    this.#expire(until)
  }

  #wake(entry: Entry, now: Instant): void {
    this.#cut?.keep(entry)
    this.#timers.set(entry, null)
    const slot = this.#slotOf.get(entry.detector)
    if (slot === undefined) return
    try {
      // Time must pass between two wakes of a key, or a timer that asks for itself would never end.
      const step = slot.logic.onTimer?.(entry.state, now)
      if (step !== undefined) this.#settle(slot, entry, step, { time: now, decidedBy: null, earliest: now + 1 })
    } catch (error) {
      this.#fault(slot, entry.key, error, { now, observation: null })
    }
  }

  #expire(now: Instant): void {
    for (const slot of this.#slots) {
      const bound = now - slot.definition.idleMs
      for (let entry = slot.keys.oldest; entry !== null && entry.touched < bound; entry = slot.keys.oldest) {
        this.#drop(slot, entry)
        this.#counts.expired += 1
      }
    }
  }

  #drop(slot: Slot, entry: Entry): void {
    this.#cut?.keep(entry)
    this.#timers.set(entry, null)
    slot.keys.remove(entry)
  }

  #stateGap({ gap, at }: Due & { readonly gap: Gap }): void {
    this.#state(this.#blindness.state(gap, at, this.#counts[gap.kind]))
  }

  #state(finding: Finding): void {
    this.#counts.findings += 1
    this.#out.push(finding)
  }

  /** The state of a key that its detector failed on is not to be trusted. */
  #fault(slot: Slot, key: string | null, error: unknown, at: Failure): void {
    const entry = key === null ? undefined : slot.keys.get(key)
    if (entry !== undefined) this.#drop(slot, entry)
    this.#refuse(slot, key, error, at)
  }

  #refuse(slot: Slot, key: string | null, error: unknown, { now, observation }: Failure): void {
    this.#counts.threw += 1
    const time = observation?.time ?? now
    const { keys, ...whose } = observation === null ? { principal: null, keys: [] } : subjectsOf(observation)
    const about = { concerns: { from: time, until: time }, ...whose, keys: [...keys, key] }
    this.#note('threw', now, { ...about, detector: slot.definition.id })
    this.#tell(() => this.#options.onFault?.(slot.definition.id, key, error))
  }

  /** Whoever is told may fail, as a log on a full disk does: findings never depend on it. */
  #tell(listener: () => void): void {
    try {
      listener()
    } catch {}
  }

  #note(kind: BlindnessKind, at: Instant, about: Partial<Sighting>): void {
    if (kind !== 'evicted' && kind !== 'threw') this.#counts[kind] += 1
    this.#blindness.note(kind, { record: this.#record, offset: this.#offset, at, ...about })
  }

  #startAgain(at: Instant): void {
    this.#blindness.rebase(at)
    for (const slot of this.#slots) {
      for (const entry of [...slot.keys]) this.#drop(slot, entry)
    }
  }
}

/** When a detector failed, and on what; null for a timer. */
interface Failure {
  readonly now: Instant
  readonly observation: Observation | null
}
