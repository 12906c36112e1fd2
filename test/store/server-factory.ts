import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { openStore } from '../../store/index.ts'
import type { StoreFactory } from '../contracts/store.ts'
import { serveClickHouse } from './server-stand-in.ts'

/** A database of its own on the server at CLICKHOUSE_URL, or on a stand-in that speaks the same HTTP. */
export const server: StoreFactory = async () => {
  const given = process.env.CLICKHOUSE_URL
  const path = await mkdtemp(join(tmpdir(), 'cordon-server-'))
  const standIn = given === undefined ? await serveClickHouse(path) : undefined
  const database = `cordon_test_${randomUUID().slice(0, 8)}`
  const { CLICKHOUSE_USER: username, CLICKHOUSE_PASSWORD: password } = process.env
  const store = await openStore({
    url: given ?? standIn?.url,
    username,
    password,
    database,
    limits: { seconds: 2, rows: 5_000 },
    log: pino({ level: 'silent' }),
  })
  return {
    store,
    close: async () => {
      await store.client.command({ query: `DROP DATABASE ${database}` })
      await store.close()
      await standIn?.close()
      await rm(path, { recursive: true, force: true })
    },
  }
}
