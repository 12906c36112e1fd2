import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import type { ClickHouseClient } from '@clickhouse/client'
import { consistentRead, onCluster, quorumSettings } from './cluster.ts'
import { engineReason, openFailure, StoreError } from './errors.ts'

/** A step of the schema. Files are `NNN-name.sql`, applied in order, once, and never edited afterwards. */
export interface Migration {
  readonly name: string
  /** SHA-256 of the file, hex. */
  readonly checksum: string
  /** This call applied it; false where it stood already. */
  readonly applied: boolean
}

const folder = new URL('migrations/', import.meta.url)

const ledger = `CREATE TABLE IF NOT EXISTS migrations (name String, checksum String, appliedAt DateTime64(3, 'UTC') DEFAULT now64(3))
ENGINE = MergeTree ORDER BY name`

/**
 * Brings the schema up to date. Every statement may be repeated, so a run that was killed half-way is simply run again,
 * and two processes may run it at once.
 *
 * @param cluster where the tables are made on every replica; null for a single server, or in process
 * @throws StoreError `MIGRATION_FAILED`, `MIGRATION_CHANGED` when a file that was applied reads differently now, or
 *   `STORE_UNAVAILABLE` where the server does not answer
 */
export async function migrate(client: ClickHouseClient, cluster: string | null): Promise<Migration[]> {
  const applied = await appliedBefore(client, cluster)
  const migrations: Migration[] = []
  for (const file of (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort()) {
    const text = await readFile(new URL(file, folder), 'utf8')
    const checksum = createHash('sha256').update(text).digest('hex')
    const before = applied.get(file)
    if (before !== undefined && before !== checksum) {
      throw new StoreError(
        'MIGRATION_CHANGED',
        `migration ${file} was changed after it was applied; put it back, and add a new one instead`,
      )
    }
    if (before === undefined) await apply(client, cluster, file, text, checksum)
    migrations.push({ name: file, checksum, applied: before === undefined })
  }
  return migrations
}

/** Checksum by name of the file. */
async function appliedBefore(client: ClickHouseClient, cluster: string | null): Promise<ReadonlyMap<string, string>> {
  try {
    await client.command({ query: placed(ledger, cluster) })
    const query = `SELECT name, checksum FROM migrations${cluster === null ? '' : ` SETTINGS ${consistentRead}`}`
    const known = await client.query({ query, format: 'JSONEachRow' })
    return new Map((await known.json<{ name: string; checksum: string }>()).map((row) => [row.name, row.checksum]))
  } catch (error) {
    throw new StoreError(openFailure(error, 'MIGRATION_FAILED'), `reading which migrations were applied: ${engineReason(error)}`, {
      cause: error,
    })
  }
}

async function apply(client: ClickHouseClient, cluster: string | null, file: string, text: string, checksum: string): Promise<void> {
  const settings = cluster === null ? '' : ` SETTINGS ${quorumSettings}`
  try {
    for (const statement of statementsOf(text)) await client.command({ query: placed(statement, cluster) })
    await client.command({ query: `INSERT INTO migrations (name, checksum)${settings} VALUES ('${file}', '${checksum}')` })
  } catch (error) {
    throw new StoreError(openFailure(error, 'MIGRATION_FAILED'), `applying migration ${file}: ${engineReason(error)}`, { cause: error })
  }
}

function placed(statement: string, cluster: string | null): string {
  return cluster === null ? statement : onCluster(statement, cluster)
}

/** Migrations end each statement with a semicolon at the end of its line, and comment with `--`. */
export function statementsOf(text: string): string[] {
  return text
    .replaceAll(/^\s*--.*$/gm, '')
    .split(/;\s*$/m)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '')
}
