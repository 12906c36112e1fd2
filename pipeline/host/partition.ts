import type { Step } from '../../detectors/contract.ts'
import type { EventId, Finding, Instant, Observation } from '../../schemas/index.ts'
import { Blindness, type BlindnessKind } from './blindness.ts'
import { HostError } from './errors.ts'
import { derivedUuid } from './finding-id.ts'
import { type HostedDetector, openSlots, type Slot, slotsByKind } from './hosted.ts'
import { type Entry, newEntry } from './keyed-state.ts'
import type { HostInput, PartitionHost, PartitionHostOptions } from './partition-host.ts'
import { RecentIds } from './recent-ids.ts'
import { restorePartition, snapshotPartition } from './restore.ts'
import { type HostCounts, type HostSnapshot, noCounts } from './snapshot.ts'
import { stateFinding } from './statement.ts'
import { TimerHeap, timerOrder } from './timer-heap.ts'
import { Watermark } from './watermark.ts'

/** @throws HostError `HOST_INVALID` for two detectors of one id, ZodError for parameters that do not parse */
export function createPartitionHost(detectors: readonly HostedDetector[], options: PartitionHostOptions): PartitionHost {
  return new DetectorPartition(openSlots(detectors), options)
}

const longestKey = 300

/** What is being applied. */
interface Cause {
  readonly record: EventId
  readonly offset: number
}

class DetectorPartition implements PartitionHost {
  next = 0
  readonly #options: PartitionHostOptions
  readonly #slots: readonly Slot[]
  readonly #slotOf: ReadonlyMap<string, Slot>
  readonly #byKind: ReturnType<typeof slotsByKind>
  readonly #timers = new TimerHeap()
  readonly #rememberIds: number
  #watermark: Watermark
  #recent: RecentIds
  #blindness: Blindness
  #counts = noCounts()
  #cause: Cause = { record: '', offset: 0 }
  #out: Finding[] = []

  constructor(slots: readonly Slot[], options: PartitionHostOptions) {
    this.#options = options
    this.#slots = slots
    this.#slotOf = new Map(slots.map((slot) => [slot.definition.id, slot]))
    this.#byKind = slotsByKind(slots)
    this.#rememberIds = options.rememberIds ?? 8_192
    if (this.#rememberIds < 1) throw new HostError('HOST_INVALID', 'hosting detectors: rememberIds must be at least 1')
    this.#watermark = this.#newWatermark()
    this.#recent = new RecentIds(this.#rememberIds)
    this.#blindness = new Blindness(this.#scope)
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
    return this.#stating({ record: event.id, offset }, () => {
      if (event.kind === 'tick') this.#tick(event.data.until)
      else this.#observe(event)
    })
  }

  skip(offset: number): void {
    this.next = Math.max(this.next, offset + 1)
  }

  tick(until: Instant): Finding[] {
    const record = derivedUuid(`tick/${this.#scope}/${this.next}/${until}`)
    return this.#stating({ record, offset: this.next }, () => this.#tick(until))
  }

  snapshot(): HostSnapshot {
    return snapshotPartition(this.#options, this.#slots, {
      next: this.next,
      watermark: this.#watermark.snapshot(),
      recent: this.#recent.snapshot(),
      gaps: this.#blindness.snapshot(),
      counts: { ...this.#counts },
    })
  }

  restore(snapshot: unknown): void {
    const { head, entries } = restorePartition(snapshot, this.#options, this.#slots)
    this.next = head.next
    this.#counts = { ...head.counts }
    this.#watermark = this.#newWatermark(head.watermark)
    this.#recent = new RecentIds(this.#rememberIds, head.recent)
    this.#blindness = new Blindness(this.#scope, head.gaps)
    for (const { entry, wakeAt } of entries) {
      this.#slotOf.get(entry.detector)?.keys.add(entry)
      this.#timers.set(entry, wakeAt)
    }
  }

  get #scope(): string {
    return `${this.#options.topic}/${this.#options.partition}`
  }

  #newWatermark(state?: ConstructorParameters<typeof Watermark>[1]): Watermark {
    const { latenessMs = 60_000, aheadMs = 3_600_000 } = this.#options
    return new Watermark({ latenessMs, aheadMs }, state)
  }

  #stating(cause: Cause, work: () => void): Finding[] {
    this.#cause = cause
    this.#out = []
    work()
    return this.#out
  }

  #tick(until: Instant): void {
    this.#counts.ticks += 1
    this.#watermark.tick(until)
    this.#pass(this.#watermark.at ?? until)
  }

  #observe(event: Observation): void {
    if (this.#recent.has(event.id)) {
      this.#counts.duplicates += 1
      return
    }
    const { time, verdict } = this.#watermark.admit(event.time)
    const now = this.#watermark.at ?? time
    this.#counts.events += 1
    if (verdict === 'restarted') this.#startAgain()
    if (verdict === 'late') this.#note('late', now)
    else if (verdict !== 'on-time') this.#note('clamped', now)
    if (this.#recent.forgot(time)) this.#note('unverifiable', now)
    this.#recent.add(event.id, time)
    this.#pass(now)
    const observation = time === event.time ? event : { ...event, time }
    for (const slot of this.#byKind.get(event.kind) ?? []) this.#deliver(slot, observation, now)
    // A wake that was asked for at or before the watermark has been reached already.
    this.#pass(now)
  }

  #deliver(slot: Slot, observation: Observation, now: Instant): void {
    let key: string | null = null
    try {
      key = slot.definition.scope(observation)
      if (key === null) return
      const entry = this.#entry(slot, key, observation.time, now)
      this.#settle(slot, entry, slot.logic.onEvent(entry.state, observation), {
        time: observation.time,
        decidedBy: observation.id,
        earliest: now,
      })
    } catch (error) {
      this.#fault(slot, key, error, now)
    }
  }

  #entry(slot: Slot, key: string, time: Instant, now: Instant): Entry {
    const known = slot.keys.get(key)
    if (known !== undefined) {
      slot.keys.touch(known, now)
      return known
    }
    if (key.length > longestKey) {
      throw new HostError('DETECTOR_FAULT', `${slot.definition.id}: a scope of ${key.length} characters; at most ${longestKey} are kept`)
    }
    const entry = newEntry(slot.definition.id, key, slot.logic.initial(time), now)
    const oldest = slot.keys.oldest
    if (slot.keys.size >= slot.definition.maxKeys && oldest !== null) {
      this.#drop(slot, oldest)
      this.#counts.evicted += 1
      this.#note('evicted', now, slot.definition.id)
    }
    slot.keys.add(entry)
    return entry
  }

  /** Takes over what a detector answered. `earliest` is the first instant that a wake may be asked for. */
  #settle(
    slot: Slot,
    entry: Entry,
    step: Step<unknown> | undefined,
    at: { time: Instant; decidedBy: EventId | null; earliest: Instant },
  ): void {
    if (step === undefined) return
    entry.state = step.state
    for (const draft of step.findings ?? []) {
      try {
        const finding = stateFinding(slot.definition, entry, draft, at)
        if (finding === null) this.#counts.restated += 1
        else this.#state(finding)
      } catch (error) {
        this.#refuse(slot, entry.key, error, at.earliest)
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
        this.#state(this.#blindness.state(gap.gap, gap.at, this.#counts[gap.gap.kind]))
        continue
      }
      if (entry === undefined || timer === undefined || timer.at > until) break
      this.#expire(timer.at)
      if (entry.heapIndex >= 0) this.#wake(entry, timer.at)
    }
    this.#expire(until)
  }

  #wake(entry: Entry, now: Instant): void {
    this.#timers.set(entry, null)
    const slot = this.#slotOf.get(entry.detector)
    if (slot === undefined) return
    try {
      // Time must pass between two wakes of a key, or a timer that asks for itself would never end.
      this.#settle(slot, entry, slot.logic.onTimer?.(entry.state, now), { time: now, decidedBy: null, earliest: now + 1 })
    } catch (error) {
      this.#fault(slot, entry.key, error, now)
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
    this.#timers.set(entry, null)
    slot.keys.remove(entry)
  }

  #state(finding: Finding): void {
    this.#counts.findings += 1
    this.#out.push(finding)
  }

  /** The state of a key that its detector failed on is not to be trusted. */
  #fault(slot: Slot, key: string | null, error: unknown, now: Instant): void {
    const entry = key === null ? undefined : slot.keys.get(key)
    if (entry !== undefined) this.#drop(slot, entry)
    this.#refuse(slot, key, error, now)
  }

  #refuse(slot: Slot, key: string | null, error: unknown, now: Instant): void {
    this.#counts.threw += 1
    this.#note('threw', now, slot.definition.id)
    this.#options.onFault?.(slot.definition.id, key, error)
  }

  #note(kind: BlindnessKind, at: Instant, detector: string | null = null): void {
    if (kind === 'late' || kind === 'clamped' || kind === 'unverifiable') this.#counts[kind] += 1
    this.#blindness.note(kind, { ...this.#cause, at, detector })
  }

  #startAgain(): void {
    this.#blindness.clear()
    for (const slot of this.#slots) {
      for (const entry of [...slot.keys]) this.#drop(slot, entry)
    }
  }
}
