import type { Step } from '../../../detectors/contract.ts'
import type { Instant, Observation } from '../../../schemas/index.ts'
import { HostError } from '../errors.ts'
import { type Slot, slotsByKind } from '../hosted.ts'
import { SnapshotCut } from '../snapshot/cut.ts'
import type { RestoredEntry } from '../snapshot/restore.ts'
import type { SnapshotHead } from '../snapshot/snapshot.ts'
import { type Entry, newEntry } from './keyed-state.ts'
import type { Ledger } from './ledger.ts'
import type { RecentIdsState } from './recent-ids.ts'
import { stateFinding } from './statement.ts'
import { subjectsOf } from './subjects.ts'
import { TimerHeap } from './timer-heap.ts'

const longestKey = 300
const noSlots: readonly Slot[] = []

/** The detectors at work in one partition, and what they know of their keys: fed, woken, and relieved of what is idle or too much. */
export class Detectors {
  readonly #slots: readonly Slot[]
  readonly #slotOf: ReadonlyMap<string, Slot>
  readonly #byKind: ReturnType<typeof slotsByKind>
  readonly #timers = new TimerHeap()
  readonly #ledger: Ledger
  readonly #onFault: (detector: string, key: string | null, error: unknown) => void
  #cut: SnapshotCut | null = null
  #touches = 0

  /** @param onFault told of each failure of a detector; must not throw */
  constructor(slots: readonly Slot[], ledger: Ledger, onFault: (detector: string, key: string | null, error: unknown) => void) {
    this.#slots = slots
    this.#slotOf = new Map(slots.map((slot) => [slot.definition.id, slot]))
    this.#byKind = slotsByKind(slots)
    this.#ledger = ledger
    this.#onFault = onFault
  }

  /** State keys held, by detector. */
  keys(): Record<string, number> {
    return Object.fromEntries(this.#slots.map((slot) => [slot.definition.id, slot.keys.size]))
  }

  /** Has all who observe such a thing see it. */
  observe(observation: Observation, now: Instant): void {
    for (const slot of this.#byKind.get(observation.kind) ?? noSlots) this.#deliver(slot, observation, now)
  }

  /** Whose timer is next. */
  get next(): Entry | undefined {
    return this.#timers.peek()
  }

  /** Fires the timer of an entry, where it still has one. */
  wake(entry: Entry, now: Instant): void {
    if (entry.heapIndex < 0) return
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

  /** Drops what was idle by then. */
  expire(now: Instant): void {
    for (const slot of this.#slots) {
      const bound = now - slot.definition.idleMs
      for (let entry = slot.keys.oldest; entry !== null && entry.touched < bound; entry = slot.keys.oldest) {
        this.#drop(slot, entry)
        this.#ledger.counts.expired += 1
      }
    }
  }

  /** Drops everything. */
  forget(): void {
    for (const slot of this.#slots) {
      for (const entry of [...slot.keys]) this.#drop(slot, entry)
    }
  }

  /** All of it as it stands, to be read while it goes on; ends the cut before. */
  cut(head: Omit<SnapshotHead, 'detectors' | 'touches'>, recent: RecentIdsState): SnapshotCut {
    this.#cut?.cancel()
    const detectors = this.#slots.map(({ identity }) => ({ ...identity }))
    const keys = this.#slots.map((slot) => slot.keys)
    this.#cut = new SnapshotCut({ ...head, detectors, touches: this.#touches }, recent, keys)
    return this.#cut
  }

  /** @param touches how often an entry had been touched */
  restore(touches: number): void {
    this.#touches = touches
  }

  /** Takes over an entry of a snapshot; least recently touched first. */
  add({ slot, entry, wakeAt }: RestoredEntry): void {
    slot.keys.add(entry)
    this.#timers.set(entry, wakeAt)
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
      const concerns = { from: oldest.touched, until: now }
      this.#ledger.note('evicted', now, { concerns, detector: slot.definition.id, principal: null, keys: [oldest.key] })
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
        if (finding === null) this.#ledger.counts.restated += 1
        else this.#ledger.state(finding)
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

  #drop(slot: Slot, entry: Entry): void {
    this.#cut?.keep(entry)
    this.#timers.set(entry, null)
    slot.keys.remove(entry)
  }

  /** The state of a key that its detector failed on is not to be trusted. */
  #fault(slot: Slot, key: string | null, error: unknown, at: Failure): void {
    const entry = key === null ? undefined : slot.keys.get(key)
    if (entry !== undefined) this.#drop(slot, entry)
    this.#refuse(slot, key, error, at)
  }

  #refuse(slot: Slot, key: string | null, error: unknown, { now, observation }: Failure): void {
    this.#ledger.counts.threw += 1
    const time = observation?.time ?? now
    const { keys, ...whose } = observation === null ? { principal: null, keys: [] } : subjectsOf(observation)
    const about = { concerns: { from: time, until: time }, ...whose, keys: [...keys, key] }
    this.#ledger.note('threw', now, { ...about, detector: slot.definition.id })
    this.#onFault(slot.definition.id, key, error)
  }
}

/** When a detector failed, and on what; null for a timer. */
interface Failure {
  readonly now: Instant
  readonly observation: Observation | null
}
