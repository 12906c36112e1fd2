import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Administrators } from '../../access/administrators.ts'
import { SecondFactors } from '../../access/second-factor.ts'
import type { Config } from '../config/schema.ts'
import { writeAtomically } from './atomic-file.ts'

export interface Accounts {
  readonly administrators: Administrators
  readonly secondFactors: SecondFactors
}

/** The local accounts of a data directory, and the codes that were used. */
export function openAccounts({ dataDir, access }: Pick<Config, 'dataDir' | 'access'>, onError?: (error: unknown) => void): Accounts {
  const file = access.accountsFile ?? join(dataDir, 'accounts.json')
  const options = {
    write: (path: string, text: string) => {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
      writeAtomically(path, text)
    },
  }
  return {
    administrators: new Administrators({ ...options, file, ...(onError === undefined ? {} : { onError }) }),
    secondFactors: new SecondFactors({ ...options, file: `${file}.used`, windowMs: access.secondFactorMs }),
  }
}
