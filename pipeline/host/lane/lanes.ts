import type { Assignment, Instant } from '../../../schemas/index.ts'
import type { HostCounts } from '../snapshot/snapshot.ts'
import { placeKey, type TopicPartition } from '../standby/standby.ts'
import type { Lane } from './lane.ts'

/** A partition that is ours, and how far it is. */
export interface AssignedPartition {
  readonly topic: string
  readonly partition: number
  /** The next offset to be applied, and one past the newest known. */
  readonly offset: number
  readonly end: number
  readonly lag: number
  readonly watermark: Instant | null
  readonly nextWake: Instant | null
  readonly keys: Readonly<Record<string, number>>
  readonly counts: Readonly<HostCounts>
  /** Where the newest snapshot stands, and how old it is. */
  readonly snapshot: { readonly offset: number; readonly ageMs: number }
}

/** The partitions that are ours. */
export class Lanes {
  readonly #byPlace = new Map<string, Lane>()

  has(place: TopicPartition): boolean {
    return this.#byPlace.has(placeKey(place))
  }

  [Symbol.iterator](): MapIterator<Lane> {
    return this.#byPlace.values()
  }

  get(place: TopicPartition): Lane | undefined {
    return this.#byPlace.get(placeKey(place))
  }

  add(lane: Lane): void {
    this.#byPlace.set(placeKey(lane.work), lane)
  }

  /** Takes one out; undefined where it is not ours. */
  take(place: TopicPartition): Lane | undefined {
    const lane = this.get(place)
    this.#byPlace.delete(placeKey(place))
    return lane
  }

  clear(): void {
    this.#byPlace.clear()
  }

  partitions(now: Instant): readonly AssignedPartition[] {
    return Array.from(this, ({ work: { topic, partition, host, end }, snapshots: { saved } }) => ({
      topic,
      partition,
      offset: host.next,
      end,
      lag: Math.max(0, end - host.next),
      watermark: host.watermark,
      nextWake: host.nextWake,
      keys: host.keys(),
      counts: { ...host.counts },
      snapshot: { offset: saved.offset, ageMs: now - saved.at },
    }))
  }

  /** As heartbeats say it. */
  assignments(): readonly Assignment[] {
    return Array.from(this, ({ work: { topic, partition, host, end, lagMs } }) => {
      return { topic, partition, standby: false, offset: host.next, end, lagMs }
    })
  }

  /** By detector, over all partitions; 0 for one that has none. */
  keys(detectors: readonly string[]): Record<string, number> {
    const keys: Record<string, number> = Object.fromEntries(detectors.map((id) => [id, 0]))
    for (const { work } of this) {
      for (const [detector, held] of Object.entries(work.host.keys())) keys[detector] = (keys[detector] ?? 0) + held
    }
    return keys
  }

  /** Age of the oldest snapshot among partitions that changed since theirs; null when there is none. */
  oldestSnapshotMs(now: Instant): number | null {
    const changed = Array.from(this).filter(({ work, snapshots }) => work.host.next > snapshots.saved.offset)
    return changed.length === 0 ? null : Math.max(...changed.map(({ snapshots }) => now - snapshots.saved.at))
  }
}
