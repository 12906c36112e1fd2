import { storeContract } from '../contracts/store.ts'
import { server } from './server-factory.ts'

storeContract('a ClickHouse server', server)
