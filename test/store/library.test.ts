import { chdb } from './chdb-factory.ts'
import { libraryContract } from './library-answers.ts'

libraryContract('chDB', chdb)
