import type { Instant } from '../schemas/index.ts'
import type { TableName } from '../store/index.ts'

/** An answer that takes longer is one that is waited for, milliseconds. */
const slowMs = 3_000

/** What a sink waits for, and since when. */
export interface Blocked {
  readonly since: Instant
  readonly sinceMs: number
  readonly tables: readonly TableName[]
  readonly reason: string
}

/** Which tables the store does not take rows for, or is asked about without an answer. Null is the server itself, asked what runs there. */
export class StoreTrouble {
  readonly #clock: () => Instant
  readonly #lateMs: number
  readonly #failing = new Map<TableName | null, { since: Instant; reason: string }>()
  readonly #asked = new Map<TableName | null, Instant>()

  /** @param lateMs how long a server may wait, asked what runs there, for what it would refuse */
  constructor(clock: () => Instant, lateMs: number) {
    this.#clock = clock
    this.#lateMs = lateMs
  }

  ask(table: TableName | null): void {
    this.#asked.set(table, this.#clock())
  }

  fail(table: TableName | null, error: unknown): void {
    const since = this.#failing.get(table)?.since ?? this.#asked.get(table) ?? this.#clock()
    this.#asked.delete(table)
    this.#failing.set(table, { since, reason: error instanceof Error ? error.message : String(error) })
  }

  /** It answers, or nobody waits for its answer any more. @returns whether it failed before */
  end(table: TableName | null): boolean {
    this.#asked.delete(table)
    return this.#failing.delete(table)
  }

  /** Whoever has left waits for nothing, whatever was under way. */
  clear(): void {
    this.#asked.clear()
    this.#failing.clear()
  }

  /** Null when all is well. */
  get blocked(): Blocked | null {
    const now = this.#clock()
    const patience = (table: TableName | null) => slowMs + (table === null ? this.#lateMs : 0)
    const slow = [...this.#asked].filter(([table, since]) => now - since >= patience(table) && !this.#failing.has(table))
    const all = [...this.#failing, ...slow.map(([table, since]) => [table, { since, reason: 'the store does not answer' }] as const)]
    const [oldest] = all.toSorted(([, a], [, b]) => a.since - b.since)
    if (oldest === undefined) return null
    const [, { since, reason }] = oldest
    const tables = all.flatMap(([table]) => (table === null ? [] : [table]))
    return { since, sinceMs: Math.max(0, now - since), tables, reason }
  }
}
