import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { openStore } from '../../store/index.ts'
import type { StoreFactory } from '../contracts/store.ts'

/** A store in this process on a fresh directory. There is one engine a process, so a test file opens one at a time. */
export const chdb: StoreFactory = async () => {
  const path = await mkdtemp(join(tmpdir(), 'cordon-store-'))
  const store = await openStore({ path, limits: { seconds: 2, rows: 5_000 }, log: pino({ level: 'silent' }) })
  return {
    store,
    close: async () => {
      await store.close()
      await rm(path, { recursive: true, force: true })
    },
  }
}
