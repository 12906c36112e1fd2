import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../config/schema.ts'
import { openAccounts } from '../instance/accounts.ts'
import { openNodeSecrets, openToken } from '../instance/secrets.ts'
import { type Check, type Result, reasonOf, worst } from './check.ts'

/** That what is there can be read; it makes nothing. */
export const secretCheck: Check = {
  id: 'secrets',
  title: 'Secrets',
  async run({ config }) {
    return worst([...(config.secretsFile === null ? own(config) : [shared(config, config.secretsFile)]), accounts(config)], '')
  },
}

function own(config: Config): Result[] {
  const files: readonly [name: string, open: (config: Config) => unknown][] = [
    ['secrets.json', openNodeSecrets],
    ['token', openToken],
  ]
  return files.map(([name, open]) => {
    const path = join(config.dataDir, name)
    if (!existsSync(path)) return { status: 'ok', found: `${name} is made at the first start` }
    const wrong = failure(() => open(config))
    if (wrong === null) return { status: 'ok', found: `${name} is whole` }
    return {
      status: 'fail',
      found: wrong,
      advice: `put ${path} back from a backup; without ${name} what is on the log cannot be compared with what comes`,
    }
  })
}

/** Nodes have one kind of file, the console and ingest another; the configuration does not say whose this is. */
function shared(config: Config, file: string): Result {
  const advice = 'make it with `cordon secrets create`: node.json is for nodes, api.json for ingest and console'
  if (!existsSync(file)) return { status: 'fail', found: `secretsFile ${file} is not there`, advice }
  const node = failure(() => openNodeSecrets(config))
  if (node === null) return { status: 'ok', found: `${file} has the keys of nodes` }
  if (failure(() => openToken(config)) === null) return { status: 'ok', found: `${file} has the token of ingest and console` }
  return { status: 'fail', found: node, advice }
}

function accounts(config: Config): Result {
  let wrong: string | null = null
  const { administrators } = openAccounts(config)
  const found = (() => {
    try {
      return administrators.list()
    } catch (error) {
      wrong = reasonOf(error)
      return []
    }
  })()
  if (wrong !== null) return { status: 'fail', found: wrong, advice: 'nobody is let in by an account until it is put right' }
  const alone = found.filter(({ secondFactor, revokedAt }) => secondFactor !== 'enrolled' && revokedAt === null).map(({ name }) => name)
  if (alone.length === 0) return { status: 'ok', found: `${found.length} accounts` }
  return {
    status: 'warn',
    found: `no second factor: ${alone.join(', ')}`,
    advice: 'set it up with `cordon accounts enrol`; without one they cannot promote, release, or make keys for others',
  }
}

function failure(run: () => unknown): string | null {
  try {
    run()
    return null
  } catch (error) {
    return reasonOf(error)
  }
}
