import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import pino from 'pino'
import { openStore } from '../../store/index.ts'
import { chdb } from './chdb-factory.ts'

const log = pino({ level: 'silent' })

describe('opening a store', () => {
  it('wants one place, and a plain name for the database', async () => {
    await assert.rejects(openStore({ log }), { code: 'OPEN_FAILED' })
    await assert.rejects(openStore({ url: 'http://127.0.0.1:1', path: '/nowhere', log }), { code: 'OPEN_FAILED' })
    await assert.rejects(openStore({ url: 'http://127.0.0.1:1', database: 'a; DROP DATABASE b', log }), { code: 'OPEN_FAILED' })
  })

  it('says that a server does not answer, without its password', async () => {
    await assert.rejects(
      openStore({ url: 'http://127.0.0.1:1', username: 'u', password: 'secret-word', log }),
      (error: Error & { code: string }) => {
        assert.equal(error.code, 'OPEN_FAILED')
        assert.doesNotMatch(error.message, /secret-word/)
        return true
      },
    )
  })

  it('finds what it kept, refuses another directory beside the one it has, and a schema that was tampered with', async () => {
    const { store, close } = await chdb()
    const migrations = await store.migrate()
    assert.ok(migrations.length > 1 && migrations.every(({ applied }) => applied))
    await assert.rejects(openStore({ path: `${process.cwd()}/never-made`, log }), { code: 'OPEN_FAILED' })
    await store.client.command({ query: "INSERT INTO migrations (name, checksum) VALUES ('001-events.sql', 'other')" })
    await store.client.command({
      query: "ALTER TABLE migrations DELETE WHERE name = '001-events.sql' AND checksum != 'other' SETTINGS mutations_sync = 1",
    })
    await assert.rejects(store.migrate(), { code: 'MIGRATION_CHANGED' })
    await close()
    await assert.rejects(store.sql('SELECT 1'), { code: 'STORE_CLOSED' })
    await assert.rejects(store.query('cost', {}), { code: 'STORE_CLOSED' })
    await assert.rejects(store.insert('flows', [], 'x'), { code: 'STORE_CLOSED' })
    assert.equal(await store.ping(), false)
  })
})
