import type { Instant } from '../../../schemas/index.ts'
import type { Entry } from './keyed-state.ts'

/** Orders timers by time, detector and key, so that the order of firing never depends on the order of asking. */
export function timerOrder(a: Due, b: Due): number {
  if (a.at !== b.at) return a.at - b.at
  if (a.detector !== b.detector) return a.detector < b.detector ? -1 : 1
  if (a.key === b.key) return 0
  return a.key < b.key ? -1 : 1
}

export interface Due {
  readonly at: Instant
  readonly detector: string
  readonly key: string
}

function before(a: Entry, b: Entry): boolean {
  const left = a.wakeAt ?? 0
  const right = b.wakeAt ?? 0
  if (left !== right) return left < right
  return a.detector === b.detector ? a.key < b.key : a.detector < b.detector
}

/** A binary min-heap of the entries that asked to be woken; entries know their place, so changing a timer is O(log n) and leaves no dead ones. */
export class TimerHeap {
  readonly #heap: Entry[] = []

  get size(): number {
    return this.#heap.length
  }

  peek(): Entry | undefined {
    return this.#heap[0]
  }

  /** Sets, moves or (null) takes back the timer of an entry. */
  set(entry: Entry, wakeAt: Instant | null): void {
    if (wakeAt === null) {
      this.#remove(entry)
      return
    }
    entry.wakeAt = wakeAt
    if (entry.heapIndex < 0) {
      entry.heapIndex = this.#heap.length
      this.#heap.push(entry)
    }
    this.#settle(entry)
  }

  #remove(entry: Entry): void {
    const index = entry.heapIndex
    entry.wakeAt = null
    entry.heapIndex = -1
    if (index < 0) return
    const last = this.#heap.pop()
    if (last === undefined || last === entry) return
    this.#place(last, index)
    this.#settle(last)
  }

  #place(entry: Entry, index: number): void {
    this.#heap[index] = entry
    entry.heapIndex = index
  }

  #settle(entry: Entry): void {
    this.#up(entry)
    this.#down(entry)
  }

  #up(entry: Entry): void {
    while (entry.heapIndex > 0) {
      const parent = this.#heap[(entry.heapIndex - 1) >> 1]
      if (parent === undefined || !before(entry, parent)) return
      this.#swap(entry, parent)
    }
  }

  #down(entry: Entry): void {
    for (;;) {
      const left = this.#heap[2 * entry.heapIndex + 1]
      const right = this.#heap[2 * entry.heapIndex + 2]
      const child = left !== undefined && right !== undefined && before(right, left) ? right : left
      if (child === undefined || !before(child, entry)) return
      this.#swap(entry, child)
    }
  }

  #swap(a: Entry, b: Entry): void {
    const index = a.heapIndex
    this.#place(a, b.heapIndex)
    this.#place(b, index)
  }
}
