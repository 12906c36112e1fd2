import type { EventId } from '../../../schemas/index.ts'

/** The newest ids of a stream, between `size` and twice as many; two sets, of which the older is dropped whole. */
export class SeenFindings {
  readonly #size: number
  #newer = new Set<EventId>()
  #older = new Set<EventId>()

  constructor(size = 20_000) {
    this.#size = size
  }

  has(id: EventId): boolean {
    return this.#newer.has(id) || this.#older.has(id)
  }

  add(id: EventId): void {
    this.#newer.add(id)
    if (this.#newer.size < this.#size) return
    this.#older = this.#newer
    this.#newer = new Set()
  }
}
