import { randomUUID } from 'node:crypto'
import pino from 'pino'
import { openStore, type Store, type StoreOptions } from '../../store/index.ts'
import type { StoreFactory } from '../contracts/store.ts'

const log = pino({ level: 'silent' })

/** A store on a server, in the database of that name. */
export function storeAt(url: string, database: string, over: Partial<StoreOptions> = {}): Promise<Store> {
  const { CLICKHOUSE_USER: username, CLICKHOUSE_PASSWORD: password } = process.env
  return openStore({ url, username, password, database, log, ...over })
}

export const newDatabase = (): string => `cordon_test_${randomUUID().slice(0, 8)}`

/** Stores on databases of their own on one server. */
export function storesOn(url: () => string): StoreFactory {
  return async () => {
    const database = newDatabase()
    const store = await storeAt(url(), database, { limits: { seconds: 2, rows: 5_000 } })
    return {
      store,
      close: async () => {
        await store.client.command({ query: `DROP DATABASE ${database}` })
        await store.close()
      },
    }
  }
}
