import type { Instant } from '../schemas/index.ts'
import { partsOf } from './bucket.ts'

/**
 * Buckets that were shared out before this process began. Another process of this node may have spent its starter of them
 * already: with one more for each process a node that crashes again and again would spend more than the ceiling.
 */
export class Begun {
  readonly #most: number
  readonly #buckets = new Set<string>()
  /** Of all that were noted, also where there was no room to keep them. */
  #newestStart: Instant = Number.NEGATIVE_INFINITY
  #missed = false

  /** @param most that are kept; where there were more, every window of that time counts as begun */
  constructor(most: number) {
    this.#most = most
  }

  note(bucket: string): void {
    this.#newestStart = Math.max(this.#newestStart, partsOf(bucket).start)
    if (this.#buckets.size < this.#most) this.#buckets.add(bucket)
    else if (!this.#buckets.has(bucket)) this.#missed = true
  }

  /** Its window is over. */
  forget(bucket: string): void {
    this.#buckets.delete(bucket)
  }

  has(bucket: string): boolean {
    return this.#buckets.has(bucket) || (this.#missed && partsOf(bucket).start <= this.#newestStart)
  }
}
