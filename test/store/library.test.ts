import { chdb } from './chdb-factory.ts'
import { generationContract } from './generation-answers.ts'
import { libraryContract } from './library-answers.ts'

libraryContract('chDB', chdb)
generationContract('chDB', chdb)
