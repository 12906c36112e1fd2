import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { openStore, type Store } from '../../store/store.ts'
import type { Config } from '../config/schema.ts'

/** The store that the configuration names, its tables up to date. */
export async function openInstanceStore(config: Config, log: Logger): Promise<Store> {
  const { url, database, username, password } = config.store
  const path = join(config.dataDir, 'store')
  if (url === null) mkdirSync(path, { recursive: true, mode: 0o700 })
  const store = await openStore(url === null ? { path, database, log } : { url, database, username, password: password ?? '', log })
  await store.migrate()
  return store
}
