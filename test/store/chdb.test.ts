import { storeContract } from '../contracts/store.ts'
import { chdb } from './chdb-factory.ts'

storeContract('chDB', chdb)
