import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import type { ClickHouseClient } from '@clickhouse/client'
import type { Logger } from 'pino'
import type { EventId, Instant } from '../schemas/index.ts'
import { consistentRead, quorumSettings } from './cluster.ts'
import type { Connections } from './connection.ts'
import { connect } from './connection.ts'
import { engineCode, engineReason, isUnreadable, readFailure, StoreError } from './errors.ts'
import { insertsEnded } from './inserts.ts'
import { knownIds } from './known-ids.ts'
import { bindParameters, queryNamed } from './library.ts'
import type { Migration } from './migrations.ts'
import { migrate } from './migrations.ts'
import { ReadGate } from './read-gate.ts'
import type { QueryResult } from './result.ts'
import { readResult } from './result.ts'
import { ServerClock } from './server-clock.ts'
import type { ReadLimits } from './settings.ts'
import { defaultReadLimits } from './settings.ts'
import type { Forbidden } from './sql-guard.ts'
import { guardSql, loadForbidden } from './sql-guard.ts'
import type { Row, TableName } from './tables.ts'
import { tables } from './tables.ts'

export interface StoreOptions {
  /** A ClickHouse server, such as `http://clickhouse:8123`. */
  readonly url?: string
  readonly username?: string
  readonly password?: string
  /** Default `cordon`. */
  readonly database?: string
  /** A data directory for the engine in this process; exclusive with `url`. One a process, one process a directory. */
  readonly path?: string
  readonly limits?: Partial<ReadLimits>
  /** A cluster of the server, of one shard: tables are replicated, and made on every replica. Default null: a single server. */
  readonly cluster?: string | null
  /** How long a server may take for an insert or a look-up before it counts as failed. Default 15 s. */
  readonly insertTimeoutMs?: number
  readonly log: Logger
}

/**
 * Everything that was seen, kept for questions. Errors are {@link StoreError}s; test/contracts/store.ts says what
 * holds on both engines.
 */
export interface Store {
  /** With all rights. Reads on behalf of people go through `query` and `sql`. */
  readonly client: ClickHouseClient
  readonly engine: 'chdb' | 'server'
  /** Brings the schema up to date; to be called before anything else. */
  migrate(): Promise<Migration[]>
  /**
   * Stores rows of one table, all or none; durable when it resolves. A server that comes to it only {@link lateMs}
   * after it was sent (it was paused, or the network held the request back) refuses it.
   *
   * @param token the same token with the same rows is stored once, however often it is sent (the last 1,000 are known)
   * @param onSend called when all is ready, right before it is sent; when it throws, nothing is sent
   * @throws StoreError `INSERT_REJECTED` when trying again cannot help, else `INSERT_FAILED`; what `onSend` threw
   */
  insert(table: TableName, rows: readonly Row[], token: string, onSend?: () => void): Promise<void>
  /** Longest time between `onSend` of an {@link insert} and the moment its rows may begin to be stored; 0 in process. */
  readonly lateMs: number
  /** Those of the ids that the table has, as lower-case UUIDs. */
  known(table: TableName, ids: readonly EventId[]): Promise<ReadonlySet<EventId>>
  /**
   * Resolves when the inserts that run now, ours or those that a process left behind when it died, have ended, and when
   * none that was sent before this store was opened can begin any more. One that another process sent since may begin
   * until its {@link lateMs} are over: who hands a partition over waits for that.
   *
   * @throws StoreError `QUERY_FAILED` when the server cannot be asked
   */
  settled(): Promise<void>
  /** Asks a question of the library. */
  query(name: string, params: Readonly<Record<string, unknown>>): Promise<QueryResult>
  /** Runs a reader's own SQL under the read limits; at most `limit` rows. */
  sql(text: string, options?: { readonly limit?: number }): Promise<QueryResult>
  ping(): Promise<boolean>
  /** Waits for what runs. */
  close(): Promise<void>
}

/**
 * Opens the store on a server (`url`) or in this process (`path`); call {@link Store.migrate} next.
 *
 * @throws StoreError `OPEN_FAILED`
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  const limits = { ...defaultReadLimits, ...options.limits }
  const database = options.database ?? 'cordon'
  const cluster = options.cluster ?? null
  const insertTimeoutMs = options.insertTimeoutMs ?? 15_000
  const connections = await connect({ ...options, database, limits, cluster, insertTimeoutMs })
  options.log.info({ engine: connections.engine, database, cluster }, 'store opened')
  return new ClickHouseStore(connections, { database, cluster, limits, insertTimeoutMs })
}

/** ClickHouse's number for what `throwIf` throws, as the tables do with what comes too late. */
const cameTooLate = '395'

interface Settings {
  readonly database: string
  readonly cluster: string | null
  readonly limits: ReadLimits
  readonly insertTimeoutMs: number
}

/**
 * How late a server may begin an insert, milliseconds. Much less than a group takes to replace a member that fell silent,
 * and what a partition that is handed over may have to wait for.
 */
const beginsWithin = 3_000

class ClickHouseStore implements Store {
  readonly client: ClickHouseClient
  readonly engine: 'chdb' | 'server'
  readonly lateMs: number
  readonly #opened = performance.now()
  readonly #inserts = new Set<Promise<unknown>>()
  readonly #connections: Connections
  readonly #settings: Settings
  readonly #clock: ServerClock
  readonly #gate: ReadGate<ClickHouseClient>
  readonly #writes = new Set<Promise<unknown>>()
  #forbidden: Forbidden | undefined
  #closed = false

  constructor(connections: Connections, settings: Settings) {
    this.client = connections.writer
    this.engine = connections.engine
    this.lateMs = connections.engine === 'chdb' ? 0 : Math.min(beginsWithin, settings.insertTimeoutMs)
    this.#connections = connections
    this.#settings = settings
    this.#clock = new ServerClock(connections.writer)
    this.#gate = new ReadGate(connections.readers, 64)
  }

  migrate(): Promise<Migration[]> {
    return this.#track(migrate(this.#connections.admin, this.#settings.cluster))
  }

  async insert(table: TableName, rows: readonly Row[], token: string, onSend: () => void = () => {}): Promise<void> {
    this.#assertOpen()
    if (!tables.includes(table)) throw new StoreError('UNKNOWN_TABLE', `storing rows: there is no table ${table}`)
    if (!/^[\w:.-]{1,300}$/.test(token)) throw new StoreError('INSERT_REJECTED', 'storing rows: a token is letters, digits and _ : . -')
    const [first] = rows
    if (first === undefined) return
    const statement = await this.#statement(table, rows, Object.keys(first), token)
    // From here to the sending nothing waits, save for the server's clock once a minute.
    const notAfter = this.engine === 'server' ? await this.#notAfter(rows.length, table) : undefined
    onSend()
    const insert = this.#track(this.client.command({ query: statement(notAfter) }))
    this.#inserts.add(insert)
    try {
      await insert
    } catch (cause) {
      if (engineCode(cause) === cameTooLate) this.#clock.forget()
      const code = isUnreadable(cause) ? 'INSERT_REJECTED' : 'INSERT_FAILED'
      throw new StoreError(code, `storing ${rows.length} rows of ${table}: ${engineReason(cause)}`, { cause })
    } finally {
      this.#inserts.delete(insert)
    }
  }

  /** The statement, but for the time until which it may begin. */
  async #statement(
    table: TableName,
    rows: readonly Row[],
    columns: readonly string[],
    token: string,
  ): Promise<(notAfter?: Instant) => string> {
    const { cluster, insertTimeoutMs } = this.#settings
    // In the statement rather than beside it: the engine in process would keep them for the next statement.
    const settings = [`insert_deduplication_token = '${token}'`, 'async_insert = 0', 'input_format_parallel_parsing = 0']
    if (this.engine === 'server') settings.push(`max_execution_time = ${Math.ceil(insertTimeoutMs / 1_000)}`)
    if (cluster !== null) settings.push(quorumSettings, `insert_quorum_timeout = ${insertTimeoutMs}`)
    const names = [...columns, 'notAfter'].map((name) => `\`${name}\``).join(', ')
    const head = `INSERT INTO ${table} (${names}) SETTINGS ${settings.join(', ')} FORMAT JSONCompactEachRow\n`
    const [first, ...others] = await linesOf(rows, columns)
    const rest = others.map((line) => `${line},null]\n`).join('')
    // One row that is refused refuses them all.
    return (notAfter) => `${head}${first},${notAfter ?? null}]\n${rest}`
  }

  async #notAfter(count: number, table: TableName): Promise<Instant> {
    try {
      return (await this.#clock.now()) + this.lateMs
    } catch (cause) {
      throw new StoreError('INSERT_FAILED', `storing ${count} rows of ${table}: asking for the time: ${engineReason(cause)}`, { cause })
    }
  }

  async known(table: TableName, ids: readonly EventId[]): Promise<ReadonlySet<EventId>> {
    this.#assertOpen()
    if (!tables.includes(table)) throw new StoreError('UNKNOWN_TABLE', `looking up ids: there is no table ${table}`)
    try {
      return await this.#track(knownIds(this.client, table, ids, this.#settings.cluster === null ? '' : consistentRead))
    } catch (cause) {
      throw new StoreError('QUERY_FAILED', `looking up ${ids.length} ids in ${table}: ${engineReason(cause)}`, { cause })
    }
  }

  async settled(): Promise<void> {
    this.#assertOpen()
    if (this.engine === 'chdb') return void (await Promise.allSettled(this.#inserts))
    await delay(Math.max(0, this.#opened + beginsWithin - performance.now()))
    const { database, cluster, insertTimeoutMs } = this.#settings
    try {
      await this.#track(insertsEnded({ client: this.client, database, cluster, longestMs: insertTimeoutMs + this.lateMs }))
    } catch (cause) {
      throw new StoreError('QUERY_FAILED', `asking which inserts run: ${engineReason(cause)}`, { cause })
    }
  }

  async query(name: string, params: Readonly<Record<string, unknown>>): Promise<QueryResult> {
    this.#assertOpen()
    const definition = queryNamed(name)
    return this.#read(definition.sql, this.#settings.limits.rows, bindParameters(definition, params))
  }

  async sql(text: string, options: { readonly limit?: number } = {}): Promise<QueryResult> {
    this.#assertOpen()
    // On a server databases come and go; in process they are ours.
    if (this.#forbidden === undefined || this.engine === 'server') {
      this.#forbidden = await this.#gate.run((reader) => loadForbidden(reader, this.#settings.database))
    }
    const statement = guardSql(text, this.#forbidden)
    return this.#read(statement, Math.min(Math.max(1, options.limit ?? 1_000), this.#settings.limits.rows), undefined)
  }

  async #read(query: string, limit: number, params: Record<string, unknown> | undefined): Promise<QueryResult> {
    return this.#gate.run(async (reader) => {
      const started = performance.now()
      try {
        const result = await reader.query({ query, format: 'JSONCompact', query_params: params })
        const text = await result.text()
        // A single row is never cut off, and reading it would hold everything else in this process up.
        if (text.length > this.#settings.limits.resultBytes)
          throw new StoreError('QUERY_LIMIT', `asking the store: the answer is larger than ${this.#settings.limits.resultBytes} bytes`)
        return readResult(text, performance.now() - started, limit)
      } catch (cause) {
        if (cause instanceof StoreError) throw cause
        throw new StoreError(readFailure(cause), `asking the store: ${engineReason(cause)}`, { cause })
      }
    })
  }

  async ping(): Promise<boolean> {
    if (this.#closed) return false
    const { success } = await this.client.ping()
    return success
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.allSettled([...this.#writes, this.#gate.idle()])
    await this.#connections.close()
  }

  #assertOpen(): void {
    if (this.#closed) throw new StoreError('STORE_CLOSED', 'using the store: it is closed')
  }

  #track<T>(work: Promise<T>): Promise<T> {
    this.#writes.add(work)
    return work.finally(() => this.#writes.delete(work))
  }
}

/**
 * JSON arrays of values without names, the closing bracket left out, made a few at a time so that others have their turn.
 * A half surrogate, which JSON may carry and the engine refuses, becomes U+FFFD.
 */
async function linesOf(rows: readonly Row[], columns: readonly string[]): Promise<string[]> {
  const lines: string[] = []
  for (const [index, row] of rows.entries()) {
    if (index % 1_000 === 999) await nextTurn()
    const values = columns.map((column) => row[column] ?? null)
    let line = JSON.stringify(values)
    if (line.includes('\\ud'))
      line = JSON.stringify(values, (_, value: unknown) => (typeof value === 'string' ? value.toWellFormed() : value))
    lines.push(line.slice(0, -1))
  }
  return lines
}
