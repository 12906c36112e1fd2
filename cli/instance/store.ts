import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { openStore, type Store } from '../../store/store.ts'
import type { Context } from './context.ts'

/** The store that the configuration names, its tables up to date. */
export async function openInstanceStore({ config, log, closers }: Context): Promise<Store> {
  const { url, database, username, password, cluster } = config.store
  const path = join(config.dataDir, 'store')
  if (url === null) mkdirSync(path, { recursive: true, mode: 0o700 })
  const store = await openStore(
    url === null ? { path, database, log } : { url, database, username, password: password ?? '', cluster, log },
  )
  closers.add('store', () => store.close())
  await store.migrate()
  return store
}
