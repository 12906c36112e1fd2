import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ClickHouseClient, ClickHouseLogLevel, createClient } from '@clickhouse/client'
import { pino } from 'pino'
import { openStore } from '../../store/store.ts'
import type { Config } from '../config/schema.ts'
import { type Check, type DoctorContext, type Result, reasonOf } from './check.ts'
import { withoutLogin } from './reach.ts'

const folder = new URL('../../store/migrations/', import.meta.url)
/** ClickHouse's numbers of a table and of a database that is not there (src/Common/ErrorCodes.cpp). */
const notThere: ReadonlySet<unknown> = new Set(['60', '81'])
/** Authentication failed, or access denied. */
const forbidden: ReadonlySet<unknown> = new Set(['192', '193', '194', '497', '516'])

/** That the store answers, that its tables are of this version, and what its clock says. It makes nothing. */
export const storeCheck: Check = {
  id: 'store',
  title: 'Store',
  deadlineMs: 30_000,
  run: async (context) => (context.config.store.url === null ? embedded(context) : server(context, context.config.store.url)),
}

async function embedded({ config, held, running }: DoctorContext): Promise<Result> {
  const path = join(config.dataDir, 'store')
  if ((await running()) !== null) return { status: 'ok', found: 'in process; the running instance has it' }
  if (held !== null) return { status: 'ok', found: 'in process; not looked at, since another process has the data directory' }
  if (!existsSync(path)) return { status: 'ok', found: 'in process; it is made at the first start' }
  const advice = 'stop the process that has it; where none does, put the directory back from a backup'
  try {
    const store = await openStore({ path, database: config.store.database, log: pino({ level: 'silent' }) })
    try {
      return await judgeMigrations(store.client, 'in process')
    } finally {
      await store.close()
    }
  } catch (error) {
    return { status: 'fail', found: reasonOf(error), advice }
  }
}

async function server({ config, clocks, now }: DoctorContext, url: string): Promise<Result> {
  const { database, username, password } = config.store
  const log = { level: ClickHouseLogLevel.OFF }
  const client = createClient({ url, username, password: password ?? '', request_timeout: 8_000, application: 'cordon', log })
  try {
    const sent = now()
    const query = 'SELECT toString(toUnixTimestamp64Milli(now64(3))) AS now, version() AS version'
    const [row] = await (await client.query({ query, format: 'JSONEachRow' })).json<{ now: string; version: string }>()
    const received = now()
    clocks.set('ClickHouse', { offsetMs: Number(row?.now) - (sent + received) / 2, errorMs: (received - sent) / 2 })
    return await judgeMigrations(client, `ClickHouse ${row?.version ?? ''} at ${withoutLogin(url)}`, database)
  } catch (error) {
    return unreachable(config, url, error)
  } finally {
    await client.close()
  }
}

function unreachable({ store }: Config, url: string, error: unknown): Result {
  const code = (error as { code?: unknown } | null)?.code
  return {
    status: 'fail',
    found: `${withoutLogin(url)}: ${reasonOf(error)}`,
    advice: forbidden.has(code)
      ? `correct store.username (${store.username}) and CORDON_STORE_PASSWORD, and grant what docs/operating.md lists`
      : 'start the server, or correct store.url: the HTTP interface, 8123 or with TLS 8443',
  }
}

async function judgeMigrations(client: ClickHouseClient, what: string, database?: string): Promise<Result> {
  const wanted = await migrationFiles()
  const applied = await appliedTo(client, database)
  if (applied === null)
    return {
      status: 'warn',
      found: `${what}: it has no tables yet`,
      advice: 'the first start of ingest or console, or `cordon start`, makes them',
    }
  const changed = [...wanted].filter(([name, checksum]) => applied.has(name) && applied.get(name) !== checksum).map(([name]) => name)
  if (changed.length > 0)
    return {
      status: 'fail',
      found: `${what}: ${changed.join(', ')} reads otherwise than when it was applied`,
      advice: 'install the version whose files these are',
    }
  const newer = [...applied.keys()].filter((name) => !wanted.has(name))
  if (newer.length > 0)
    return { status: 'fail', found: `${what}: a newer Cordon was here (${newer.join(', ')})`, advice: 'use that version or a later one' }
  const due = [...wanted.keys()].filter((name) => !applied.has(name))
  if (due.length > 0)
    return {
      status: 'warn',
      found: `${what}: ${due.length} migrations are due`,
      advice: 'the next start of ingest or console applies them',
    }
  return { status: 'ok', found: `${what}, all ${wanted.size} migrations applied` }
}

/** SHA-256 by name. */
async function migrationFiles(): Promise<ReadonlyMap<string, string>> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort()
  const hashes = names.map(
    async (name) =>
      [
        name,
        createHash('sha256')
          .update(await readFile(new URL(name, folder)))
          .digest('hex'),
      ] as const,
  )
  return new Map(await Promise.all(hashes))
}

/** Null where there is no database or no ledger yet. */
async function appliedTo(client: ClickHouseClient, database: string | undefined): Promise<ReadonlyMap<string, string> | null> {
  const ledger = database === undefined ? 'migrations' : `${database}.migrations`
  try {
    const found = await client.query({ query: `SELECT name, checksum FROM ${ledger}`, format: 'JSONEachRow' })
    return new Map((await found.json<{ name: string; checksum: string }>()).map(({ name, checksum }) => [name, checksum]))
  } catch (error) {
    if (notThere.has((error as { code?: unknown } | null)?.code)) return null
    throw error
  }
}
