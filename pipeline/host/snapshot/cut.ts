import { HostError } from '../errors.ts'
import { type Entry, entryLine, type KeyedState } from '../partition/keyed-state.ts'
import type { RecentIdsState } from '../partition/recent-ids.ts'
import type { SnapshotHead } from './snapshot.ts'

const idsPerLine = 512

/**
 * A partition's state as it stood at one offset, made into lines little by little while the partition goes on: an entry
 * that is about to change is made into its line first (copy on write), so nothing ever waits for the whole. Entries are
 * walked from the least recently touched on; those that are touched meanwhile go to the end, and their `order` tells.
 */
export class SnapshotCut {
  /** The first offset that is not in it. */
  readonly offset: number
  /** Entries that were touched later are not in it. */
  readonly #touches: number
  readonly #before: unknown[]
  readonly #unwalked: KeyedState[]
  #at: Entry | null = null
  /** Lines of entries that changed before they were reached. */
  readonly #kept: string[] = []
  #over = false
  #failure: HostError | null = null

  /** @param keys of each detector */
  constructor(head: SnapshotHead, recent: RecentIdsState, keys: readonly KeyedState[]) {
    this.offset = head.next
    this.#touches = head.touches
    this.#before = [head]
    for (let from = 0; from < recent.ids.length; from += idsPerLine) {
      const until = from + idsPerLine
      this.#before.push({ ids: recent.ids.slice(from, until), times: recent.times.slice(from, until) })
    }
    this.#unwalked = [...keys]
  }

  /** To be called before an entry changes, moves or goes. Never throws: a state that is no JSON fails the snapshot, not its owner. */
  keep(entry: Entry): void {
    if (this.#over || entry.order > this.#touches) return
    if (entry === this.#at) this.#at = entry.newer
    if (entry.cut === this) return
    const line = this.#lineOf(entry)
    if (line !== null) this.#kept.push(line)
  }

  /**
   * The next lines: as many as take `stretchMs` to make, but at least one. Null when there are no more.
   *
   * @throws HostError `DETECTOR_FAULT` for a state that cannot be made into a line: the snapshot is none
   */
  read(stretchMs: number): string | null {
    const until = performance.now() + stretchMs
    let text = ''
    while (text === '' || performance.now() < until) {
      const line = this.#next()
      if (line === null) break
      text += `${line}\n`
    }
    if (this.#failure !== null) throw this.#failure
    return text === '' ? null : text
  }

  /** Nothing more will be read. */
  cancel(): void {
    this.#over = true
    this.#before.length = 0
    this.#unwalked.length = 0
    this.#at = null
    this.#kept.length = 0
  }

  #next(): string | null {
    const before = this.#before.shift()
    if (before !== undefined) return JSON.stringify(before)
    const kept = this.#kept.pop()
    if (kept !== undefined) return kept
    for (;;) {
      const entry = this.#at ?? this.#unwalked.shift()?.oldest ?? null
      if (entry === null && this.#unwalked.length === 0) return null
      // Whatever comes after it was touched later still.
      this.#at = entry === null || entry.order > this.#touches ? null : entry.newer
      if (entry === null || entry.order > this.#touches || entry.cut === this) continue
      return this.#lineOf(entry)
    }
  }

  /** Null where it cannot be made, which ends the cut. */
  #lineOf(entry: Entry): string | null {
    entry.cut = this
    try {
      return entryLine(entry)
    } catch (cause) {
      this.#failure = new HostError('DETECTOR_FAULT', `${entry.detector}: the state of a key is no JSON; no snapshot can hold it`, {
        cause,
      })
      this.cancel()
      return null
    }
  }
}
