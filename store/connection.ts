import type { ClickHouseClient } from '@clickhouse/client'
import { ClickHouseLogLevel, createClient } from '@clickhouse/client'
import { checkCluster, onCluster } from './cluster.ts'
import { engineReason, openFailure, StoreError } from './errors.ts'
import { SerialConnection } from './serial-connection.ts'
import type { ReadLimits } from './settings.ts'
import { readSettings } from './settings.ts'

export interface ConnectionOptions {
  /** A ClickHouse server, such as `http://clickhouse:8123`. */
  readonly url?: string
  readonly username?: string
  readonly password?: string
  readonly database: string
  /** A data directory for the engine in this process; exclusive with `url`. */
  readonly path?: string
  readonly limits: ReadLimits
  /** Of the server: the database is made on every replica of it. */
  readonly cluster: string | null
  /** How long a server may take for an insert or a look-up. */
  readonly insertTimeoutMs: number
}

/** On a cluster a statement waits for every replica. */
const schemaTimeoutMs = 200_000

type Connection = NonNullable<NonNullable<Parameters<typeof createClient>[0]>['connection']>

/** Ways into one engine: all rights, and reading only under limits that the reader cannot change. */
export interface Connections {
  readonly engine: 'chdb' | 'server'
  /** For changes of the schema, which may take minutes. */
  readonly admin: ClickHouseClient
  readonly writer: ClickHouseClient
  /** Each serves one question at a time in process, many at a time on a server. */
  readonly readers: readonly ClickHouseClient[]
  close(): Promise<void>
}

/**
 * Connects and creates the database.
 *
 * @throws StoreError `OPEN_FAILED`, or `STORE_UNAVAILABLE` where a server does not answer
 */
export async function connect(options: ConnectionOptions): Promise<Connections> {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(options.database)) {
    throw new StoreError('OPEN_FAILED', `opening the store: "${options.database}" is no name for a database; use letters, digits and _`)
  }
  if ((options.url === undefined) === (options.path === undefined)) {
    throw new StoreError('OPEN_FAILED', 'opening the store: give either the URL of a ClickHouse server or the path of a data directory')
  }
  if (options.cluster !== null) checkCluster(options.cluster)
  if (options.cluster !== null && options.path !== undefined)
    throw new StoreError('OPEN_FAILED', 'opening the store: a cluster is one of servers; give the URL of one of them')
  try {
    return await (options.path === undefined ? connectServer(options) : connectEmbedded(options.path, options))
  } catch (error) {
    const where =
      options.path === undefined ? 'the ClickHouse server' : `the data directory ${options.path} (one process at a time can have it)`
    const code = options.path === undefined ? openFailure(error, 'OPEN_FAILED') : 'OPEN_FAILED'
    throw new StoreError(code, `opening the store on ${where}: ${engineReason(error)}`, { cause: error })
  }
}

async function connectServer(options: ConnectionOptions): Promise<Connections> {
  const { url, username, password, database } = options
  // Without words of its own on the terminal: errors are thrown, and whoever catches them logs them.
  const log = { level: ClickHouseLogLevel.OFF }
  const login = { url, username, password, application: 'cordon', keep_alive: { idle_socket_ttl: 2_000 }, log }
  const create = `CREATE DATABASE IF NOT EXISTS ${database}`
  const first = createClient({ ...login, request_timeout: options.cluster === null ? 10_000 : schemaTimeoutMs })
  try {
    await first.command({ query: options.cluster === null ? create : onCluster(create, options.cluster) })
  } finally {
    await first.close()
  }
  const admin = createClient({ ...login, database, request_timeout: schemaTimeoutMs })
  const writer = createClient({ ...login, database, request_timeout: options.insertTimeoutMs, compression: { request: true } })
  const reader = createClient({
    ...login,
    database,
    request_timeout: (options.limits.seconds + 5) * 1_000,
    // An error after the first rows would otherwise come as a cut answer with status 200.
    clickhouse_settings: { ...readSettings(options.limits), wait_end_of_query: 1 },
  })
  return {
    engine: 'server',
    admin,
    writer,
    readers: Array.from({ length: 8 }, () => reader),
    close: async () => {
      await Promise.all([admin.close(), writer.close(), reader.close()])
    },
  }
}

/**
 * The engine in process keeps settings by connection, so the reader's limits are set once, before its first query.
 * It is loaded only here: it is 600 MB and needs glibc, and who uses a server needs neither.
 */
async function connectEmbedded(path: string, options: ConnectionOptions): Promise<Connections> {
  const [{ drainPending }, { createChdbConnection }] = await Promise.all([import('chdb'), import('chdb/connection')])
  // The same interface twice: chdb names it by the package that the client has since taken in as its own copy.
  const log = { level: ClickHouseLogLevel.OFF }
  const open = () => createClient({ connection: new SerialConnection(createChdbConnection({ path })) as unknown as Connection, log })
  const writer = open()
  const readers: ClickHouseClient[] = []
  const close = async () => {
    await Promise.all([writer, ...readers].map((client) => client.close()))
    // An engine that still computes must not lose its connection: that aborts it for the whole process.
    await drainPending()
  }
  try {
    await writer.command({ query: `CREATE DATABASE IF NOT EXISTS ${options.database}` })
    await writer.command({ query: `USE ${options.database}` })
    // Two, since they work on the few threads that the whole process shares for files and hashing.
    for (const reader of [open(), open()]) {
      readers.push(reader)
      await reader.command({ query: `USE ${options.database}` })
      for (const [name, value] of Object.entries(readSettings(options.limits))) {
        await reader.command({ query: `SET ${name} = ${typeof value === 'number' ? value : `'${value}'`}` })
      }
    }
    return { engine: 'chdb', admin: writer, writer, readers, close }
  } catch (error) {
    await close()
    throw error
  }
}
