import type { BusError } from '../errors.ts'

const longestPauseMs = 1_000

/** What waits to be sent to one partition, in order. */
export class Lane<T extends { readonly bytes: number }> {
  readonly topic: string
  /** The topic's name in the cluster. */
  readonly name: string
  readonly partition: number
  /** A request with records of this lane is under way. */
  busy = false
  /** The last request failed: the next is this lane's alone, and not before this, by the monotonic clock. */
  alone = false
  notBefore = 0
  failure: BusError | null = null
  #items: T[] = []
  #failures = 0

  constructor(topic: string, name: string, partition: number) {
    this.topic = topic
    this.name = name
    this.partition = partition
  }

  get isEmpty(): boolean {
    return this.#items.length === 0
  }

  get head(): T | undefined {
    return this.#items[0]
  }

  push(item: T): void {
    this.#items.push(item)
  }

  /** Takes from the front: one at least, and no more than `bytes` otherwise. */
  take(bytes: number): T[] {
    let count = 0
    let sum = 0
    for (const item of this.#items) {
      sum += item.bytes
      if (count > 0 && sum > bytes) break
      count++
    }
    return this.#items.splice(0, count)
  }

  putBack(items: readonly T[], failure: BusError): void {
    this.#items = [...items, ...this.#items]
    this.failure = failure
    this.alone = true
    this.notBefore = performance.now() + Math.min(longestPauseMs, 50 * 2 ** Math.min(this.#failures++, 10))
  }

  succeeded(): void {
    this.failure = null
    this.alone = false
    this.#failures = 0
  }

  /** Takes out what `goes`. */
  drop(goes: (item: T) => boolean): T[] {
    const { gone = [], left = [] } = Object.groupBy(this.#items, (item) => (goes(item) ? 'gone' : 'left'))
    this.#items = left
    return gone
  }
}
