import { setImmediate as nextTurn } from 'node:timers/promises'
import type { EventId } from '../../schemas/index.ts'
import type { Row, Store, TableName } from '../../store/index.ts'
import { StoreError } from '../../store/index.ts'

/** What an insert of the fake does next. */
export type Fault = 'none' | 'refused' | 'answer-lost' | 'half' | 'lookup-fails'

/** A store in memory that keeps what the real one promises (tokens, all or none, known ids) except where a fault is due. */
export class MemoryStore implements Pick<Store, 'insert' | 'known' | 'settled' | 'lateMs' | 'engine'> {
  readonly engine = 'chdb'
  readonly lateMs = 0
  readonly rows = new Map<TableName, Row[]>()
  readonly inserts: number[] = []
  faults: Fault[] = []
  /** Rows that the engine cannot read. */
  unreadable: (row: Row) => boolean = () => false
  readonly #tokens = new Set<string>()

  async insert(table: TableName, rows: readonly Row[], token: string, onSend: () => void = () => {}): Promise<void> {
    await nextTurn()
    onSend()
    if (this.faults[0] === 'lookup-fails') throw new StoreError('INSERT_FAILED', 'away')
    const fault = this.faults.shift() ?? 'none'
    if (fault === 'refused') throw new StoreError('INSERT_FAILED', 'away')
    if (rows.some((row) => this.unreadable(row))) throw new StoreError('INSERT_REJECTED', 'cannot parse')
    const kept = fault === 'half' ? rows.slice(0, Math.ceil(rows.length / 2)) : rows
    if (!this.#tokens.has(token)) {
      this.rows.set(table, [...(this.rows.get(table) ?? []), ...kept])
      // What is stored in part is not what the token stands for.
      if (fault !== 'half') this.#tokens.add(token)
    }
    this.inserts.push(rows.length)
    if (fault !== 'none') throw new StoreError('INSERT_FAILED', 'the connection broke')
  }

  async known(table: TableName, ids: readonly EventId[]): Promise<ReadonlySet<EventId>> {
    await nextTurn()
    if (this.faults[0] === 'lookup-fails') {
      this.faults.shift()
      throw new StoreError('QUERY_FAILED', 'away')
    }
    const stored = new Set((this.rows.get(table) ?? []).map((row) => String(row.id)))
    return new Set(ids.map((id) => id.toLowerCase()).filter((id) => stored.has(id)))
  }

  async settled(): Promise<void> {}

  ids(table: TableName): string[] {
    return (this.rows.get(table) ?? []).map((row) => String(row.id))
  }
}
