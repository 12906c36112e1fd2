import { type Entry, entryLine } from './keyed-state.ts'
import type { RecentIdsState } from './recent-ids.ts'
import type { SnapshotHead } from './snapshot.ts'

const idsPerLine = 512

/**
 * A partition's state as it stood at one offset, made into lines little by little while the partition goes on: an entry
 * that is about to change is made into its line first (copy on write), so nothing ever waits for the whole.
 */
export class SnapshotCut {
  /** The first offset that is not in it. */
  readonly offset: number
  readonly #before: unknown[]
  /** What is still an entry has not changed since. */
  readonly #items: (Entry | string)[] = []
  #at = 0

  /** @param entries least recently touched first within a detector */
  constructor(head: SnapshotHead, recent: RecentIdsState, entries: Iterable<Entry>) {
    this.offset = head.next
    this.#before = [head]
    for (let from = 0; from < recent.ids.length; from += idsPerLine) {
      const until = from + idsPerLine
      this.#before.push({ ids: recent.ids.slice(from, until), times: recent.times.slice(from, until) })
    }
    for (const entry of entries) {
      entry.place = this.#items.length
      this.#items.push(entry)
    }
  }

  /** To be called before an entry of the cut changes. */
  keep(entry: Entry): void {
    if (entry.place < 0) return
    this.#items[entry.place] = entryLine(entry)
    entry.place = -1
  }

  /** The next lines: as many as take `stretchMs` to make, but at least one. Null when there are no more. */
  read(stretchMs: number): string | null {
    const until = performance.now() + stretchMs
    let text = ''
    do {
      const line = this.#next()
      if (line === null) break
      text += `${line}\n`
    } while (performance.now() < until)
    return text === '' ? null : text
  }

  /** Nothing more will be read; entries are free to change. */
  cancel(): void {
    for (const item of this.#items) if (typeof item !== 'string') item.place = -1
    this.#items.length = 0
    this.#before.length = 0
  }

  #next(): string | null {
    const before = this.#before.shift()
    if (before !== undefined) return JSON.stringify(before)
    const item = this.#items[this.#at]
    if (item === undefined) return null
    // Long before the end half of the memory is free again.
    this.#items[this.#at++] = ''
    if (typeof item === 'string') return item
    item.place = -1
    return entryLine(item)
  }
}
