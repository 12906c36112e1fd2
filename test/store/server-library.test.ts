import { gapContract } from './gap-answers.ts'
import { generationContract } from './generation-answers.ts'
import { libraryContract } from './library-answers.ts'
import { server } from './server-factory.ts'

libraryContract('a ClickHouse server', server)
gapContract('a ClickHouse server', server)
generationContract('a ClickHouse server', server)
