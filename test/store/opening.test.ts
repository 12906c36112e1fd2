import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, it } from 'node:test'
import pino from 'pino'
import { openFailure } from '../../store/errors.ts'
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
        assert.equal(error.code, 'STORE_UNAVAILABLE')
        assert.doesNotMatch(error.message, /secret-word/)
        return true
      },
    )
  })

  it('tells a server that is away from one that refuses', async (t) => {
    const answers = [
      { says: 'out of order', code: 'STORE_UNAVAILABLE' },
      { says: 'Code: 516. DB::Exception: default: Authentication failed. (AUTHENTICATION_FAILED) (version 26.7.1)', code: 'OPEN_FAILED' },
    ]
    for (const { says, code } of answers) {
      const server = createServer((_request, response) => response.writeHead(500).end(says))
      await once(server.listen(0, '127.0.0.1'), 'listening')
      t.after(() => server.close())
      const { port } = server.address() as AddressInfo
      await assert.rejects(openStore({ url: `http://127.0.0.1:${port}`, log }), { code })
    }
    // The client's own words where nothing came in time, without a code.
    assert.equal(openFailure(new Error('Timeout error.'), 'OPEN_FAILED'), 'STORE_UNAVAILABLE')
    for (const code of ['ENOTFOUND', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'ERR_TLS_CERT_ALTNAME_INVALID'])
      assert.equal(openFailure(Object.assign(new Error(), { code }), 'OPEN_FAILED'), 'OPEN_FAILED')
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
