import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import pino from 'pino'
import { onCluster } from '../../store/cluster.ts'
import type { Store } from '../../store/index.ts'
import { openStore } from '../../store/index.ts'
import { statementsOf } from '../../store/migrations.ts'
import { chdb } from './chdb-factory.ts'

const folder = new URL('../../store/migrations/', import.meta.url)
const statements = readdirSync(folder)
  .sort()
  .flatMap((file) => statementsOf(readFileSync(new URL(file, folder), 'utf8')))
const path = "'/clickhouse/tables/{shard}/{database}/{table}', '{replica}'"

describe('the schema on a cluster', () => {
  let store: Store
  let close: () => Promise<void>
  before(async () => {
    ;({ store, close } = await chdb())
  })
  after(() => close())

  /** The statement as the engine's own parser writes it. */
  async function parsed(statement: string): Promise<string> {
    const result = await store.client.query({
      query: `SELECT formatQuery('${statement.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}')`,
      format: 'JSONCompact',
    })
    return (await result.json<[string]>()).data[0]?.[0] ?? ''
  }

  it('is that of a server, made on every replica, replicated, with the window that replicated tables have', async () => {
    assert.ok(statements.length > 20)
    for (const statement of statements) {
      const text = await parsed(onCluster(statement, 'main.eu-1'))
      assert.match(text.split('\n')[0] ?? '', /^(CREATE (TABLE|VIEW) IF NOT EXISTS|ALTER TABLE) \w+ ON CLUSTER `main\.eu-1`/)
      assert.doesNotMatch(text, /= MergeTree|non_replicated/)
      // Taken back, it is the statement of a server: nothing else was changed.
      const back = text
        .replace(' ON CLUSTER `main.eu-1`', '')
        .replace(`ReplicatedMergeTree(${path})`, 'MergeTree')
        .replace(
          /replicated_deduplication_window = (\d+), replicated_deduplication_window_seconds = 604800/,
          'non_replicated_deduplication_window = $1',
        )
      assert.equal(back, await parsed(statement))
      if (!statement.startsWith('CREATE TABLE')) continue
      assert.match(text, /ReplicatedMergeTree\(/)
      assert.match(text, /SETTINGS replicated_deduplication_window = 1000, replicated_deduplication_window_seconds = 604800/)
      // A syntax tree that the engine builds as it would to run it.
      const tree = await store.client.query({ query: `EXPLAIN AST ${onCluster(statement, 'main.eu-1')}`, format: 'TabSeparated' })
      assert.match(await tree.text(), /Function ReplicatedMergeTree/)
    }
  })

  it('is refused where a migration says something that nobody thought about', () => {
    for (const statement of ['DROP TABLE requests', 'CREATE MATERIALIZED VIEW IF NOT EXISTS x AS SELECT 1', 'INSERT INTO x VALUES (1)']) {
      assert.throws(() => onCluster(statement, 'main'), { code: 'MIGRATION_FAILED' })
    }
  })

  it('wants a plain name, and servers', async () => {
    const log = pino({ level: 'silent' })
    await assert.rejects(openStore({ url: 'http://127.0.0.1:1', cluster: "a', b", log }), { code: 'OPEN_FAILED' })
    await assert.rejects(openStore({ path: '/nowhere', cluster: 'main', log }), { code: 'OPEN_FAILED' })
  })
})
