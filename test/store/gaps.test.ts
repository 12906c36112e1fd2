import { chdb } from './chdb-factory.ts'
import { gapContract } from './gap-answers.ts'

gapContract('chDB', chdb)
