import { after, before } from 'node:test'
import { storeContract } from '../contracts/store.ts'
import { generationContract } from '../store/generation-answers.ts'
import { libraryContract } from '../store/library-answers.ts'
import { storesOn } from './factory.ts'
import type { ClickHouseServer } from './server.ts'
import { startClickHouse } from './start.ts'

let server: ClickHouseServer
before(async () => {
  server = await startClickHouse()
  console.log(`ClickHouse: ${server.origin}`)
})
after(() => server?.stop())

storeContract(
  'ClickHouse',
  storesOn(() => server.url),
)
libraryContract(
  'ClickHouse',
  storesOn(() => server.url),
)
generationContract(
  'ClickHouse',
  storesOn(() => server.url),
)
