import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import type { ClickHouseClient } from '@clickhouse/client'
import { engineReason, StoreError } from './errors.ts'

/** A step of the schema. Files are `NNN-name.sql`, applied in order, once, and never edited afterwards. */
export interface Migration {
  readonly name: string
  /** SHA-256 of the file, hex. */
  readonly checksum: string
  /** This call applied it; false where it stood already. */
  readonly applied: boolean
}

const folder = new URL('migrations/', import.meta.url)

/**
 * Brings the schema up to date. Every statement may be repeated, so a run that was killed half-way is simply run again.
 *
 * @throws StoreError `MIGRATION_FAILED`, or `MIGRATION_CHANGED` when a file that was applied reads differently now
 */
export async function migrate(client: ClickHouseClient): Promise<Migration[]> {
  await client.command({
    query: `CREATE TABLE IF NOT EXISTS migrations (name String, checksum String, appliedAt DateTime64(3, 'UTC') DEFAULT now64(3))
            ENGINE = MergeTree ORDER BY name`,
  })
  const known = await client.query({ query: 'SELECT name, checksum FROM migrations', format: 'JSONEachRow' })
  const applied = new Map((await known.json<{ name: string; checksum: string }>()).map((row) => [row.name, row.checksum]))
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
    if (before === undefined) await apply(client, file, text, checksum)
    migrations.push({ name: file, checksum, applied: before === undefined })
  }
  return migrations
}

async function apply(client: ClickHouseClient, file: string, text: string, checksum: string): Promise<void> {
  try {
    for (const query of statementsOf(text)) await client.command({ query })
    await client.command({ query: `INSERT INTO migrations (name, checksum) VALUES ('${file}', '${checksum}')` })
  } catch (error) {
    throw new StoreError('MIGRATION_FAILED', `applying migration ${file}: ${engineReason(error)}`, { cause: error })
  }
}

/** Migrations end each statement with a semicolon at the end of its line, and comment with `--`. */
function statementsOf(text: string): string[] {
  return text
    .replaceAll(/^\s*--.*$/gm, '')
    .split(/;\s*$/m)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '')
}
