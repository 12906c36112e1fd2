import { gapContract } from './gap-answers.ts'
import { libraryContract } from './library-answers.ts'
import { server } from './server-factory.ts'

libraryContract('a ClickHouse server', server)
gapContract('a ClickHouse server', server)
