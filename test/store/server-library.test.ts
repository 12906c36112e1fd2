import { libraryContract } from './library-answers.ts'
import { server } from './server-factory.ts'

libraryContract('a ClickHouse server', server)
