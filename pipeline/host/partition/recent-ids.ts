import type { EventId, Instant } from '../../../schemas/index.ts'

/** JSON-serialisable; oldest first. */
export interface RecentIdsState {
  ids: EventId[]
  times: Instant[]
  forgottenUntil: Instant
}

/**
 * The last `size` event ids of a partition, which turn delivery at least once into effect exactly once. A ring
 * beside the set, because taking the first element of a Set that is deleted from its front costs as much as the
 * number of deletions since it last grew.
 */
export class RecentIds {
  readonly #size: number
  readonly #seen = new Set<EventId>()
  readonly #ring: EventId[] = []
  readonly #times: Instant[] = []
  #head = 0
  #forgottenUntil = -1

  constructor(size: number, state?: RecentIdsState) {
    this.#size = size
    if (state === undefined) return
    this.#forgottenUntil = state.forgottenUntil
    state.ids.forEach((id, index) => this.add(id, state.times[index] ?? 0))
  }

  has(id: EventId): boolean {
    return this.#seen.has(id)
  }

  /** Whether ids of events as recent as `time` were forgotten, so that a repetition of one would pass for new. */
  forgot(time: Instant): boolean {
    return time <= this.#forgottenUntil
  }

  add(id: EventId, time: Instant): void {
    const forgotten = this.#ring[this.#head]
    if (this.#ring.length === this.#size && forgotten !== undefined) {
      this.#seen.delete(forgotten)
      this.#forgottenUntil = Math.max(this.#forgottenUntil, this.#times[this.#head] ?? -1)
    }
    this.#ring[this.#head] = id
    this.#times[this.#head] = time
    this.#head = (this.#head + 1) % this.#size
    this.#seen.add(id)
  }

  snapshot(): RecentIdsState {
    const from = this.#ring.length === this.#size ? this.#head : 0
    return {
      ids: [...this.#ring.slice(from), ...this.#ring.slice(0, from)],
      times: [...this.#times.slice(from), ...this.#times.slice(0, from)],
      forgottenUntil: this.#forgottenUntil,
    }
  }
}
