import type { EventId, Instant } from '../../../schemas/index.ts'

/** What the host keeps for one (detector, scope key). */
export interface Entry {
  readonly detector: string
  readonly key: string
  state: unknown
  /** The watermark when an event last reached it. */
  touched: Instant
  wakeAt: Instant | null
  /** Place in the timer heap, -1 outside it. */
  heapIndex: number
  /** By the event that opened the episode: the last revision, and a digest of what it said. Least recently revised first. */
  revisions: Map<EventId, { revision: number; digest: string }> | null
  /** Counts the touches of the partition: the entry touched later has the higher one. */
  order: number
  /** The newest snapshot that has it, to be compared with and nothing else. */
  cut: object | null
  older: Entry | null
  newer: Entry | null
}

export function newEntry(detector: string, key: string, state: unknown, touched: Instant, order: number): Entry {
  return { detector, key, state, touched, wakeAt: null, heapIndex: -1, revisions: null, order, cut: null, older: null, newer: null }
}

/** The entry as a line of a snapshot; see `EntrySnapshot`. */
export function entryLine({ detector, key, order, touched, wakeAt, revisions, state }: Entry): string {
  const stated = [...(revisions ?? [])].map(([opened, last]) => [opened, last.revision, last.digest])
  return JSON.stringify({ detector, key, order, touched, wakeAt, revisions: stated, state })
}

/** The keys of one detector in the order in which they were last touched, in a linked list: touch and eviction cost O(1). */
export class KeyedState {
  readonly #entries = new Map<string, Entry>()
  #oldest: Entry | null = null
  #newest: Entry | null = null

  get size(): number {
    return this.#entries.size
  }

  get oldest(): Entry | null {
    return this.#oldest
  }

  get(key: string): Entry | undefined {
    return this.#entries.get(key)
  }

  add(entry: Entry): void {
    this.#entries.set(entry.key, entry)
    this.#append(entry)
  }

  touch(entry: Entry, at: Instant, order: number): void {
    entry.touched = at
    entry.order = order
    if (this.#newest === entry) return
    this.#unlink(entry)
    this.#append(entry)
  }

  remove(entry: Entry): void {
    this.#entries.delete(entry.key)
    this.#unlink(entry)
  }

  /** Least recently touched first. */
  *[Symbol.iterator](): Generator<Entry> {
    for (let entry = this.#oldest; entry !== null; entry = entry.newer) yield entry
  }

  #append(entry: Entry): void {
    entry.older = this.#newest
    entry.newer = null
    if (this.#newest === null) this.#oldest = entry
    else this.#newest.newer = entry
    this.#newest = entry
  }

  #unlink(entry: Entry): void {
    if (entry.older === null) this.#oldest = entry.newer
    else entry.older.newer = entry.newer
    if (entry.newer === null) this.#newest = entry.older
    else entry.newer.older = entry.older
  }
}
