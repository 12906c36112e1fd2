import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEmbeddedBus } from '../../bus/embedded/bus.ts'
import { busContract } from '../contracts/bus.ts'

busContract('embedded', async () => {
  const path = await mkdtemp(join(tmpdir(), 'cordon-bus-'))
  return {
    open: () => createEmbeddedBus({ path }),
    dispose: () => rm(path, { recursive: true }),
  }
})
