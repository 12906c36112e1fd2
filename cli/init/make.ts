import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { defaultFolder } from '../../policy/directory.ts'
import type { Instant } from '../../schemas/index.ts'
import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { CliError } from '../errors.ts'
import { openAccounts } from '../instance/accounts.ts'
import { writeAtomically } from '../instance/atomic-file.ts'
import { configurationText } from './document.ts'
import type { Plan } from './plan.ts'

/** What was made. The secrets are nowhere else. */
export interface Made {
  readonly file: string
  readonly policies: string
  readonly administrator: {
    readonly name: string
    /** Null where the account was there before, and stays as it was. */
    readonly token: string | null
    /** What an authenticator reads, and what is typed into it; null with the token. */
    readonly otpauth: string | null
    readonly secret: string | null
  }
}

/**
 * Sets up a folder: the configuration, its policies, and the first administrator's account.
 *
 * @param force over files of that name; accounts are never taken away
 * @throws CliError `USAGE` where something is there already, `CONFIG_INVALID`; AccountError. Then no configuration was written.
 */
export function makeInstance(dir: string, plan: Plan, now: Instant, force: boolean): Made {
  const file = join(dir, 'cordon.config.yaml')
  const policies = join(dir, 'policies')
  const there = [file, policies].filter((path) => existsSync(path))
  if (there.length > 0 && !force)
    throw new CliError('USAGE', `${there.join(' and ')}: there already, and not overwritten; name another folder, or add --force`)
  mkdirSync(dir, { recursive: true })
  const draft = `${file}.${process.pid}.new`
  try {
    writeAtomically(draft, configurationText(plan))
    // As it stands in the file: what the environment of this moment says would hide what is wrong with it.
    const { config } = loadConfig({ file: draft, environment: {}, flags: new Map() })
    const administrator = makeAdministrator(plan.admin, { ...config, dataDir: resolve(dir, config.dataDir) }, now, force)
    copyPolicies(policies)
    renameSync(draft, file)
    return { file, policies, administrator }
  } finally {
    rmSync(draft, { force: true })
  }
}

function makeAdministrator(name: string, config: Config, now: Instant, force: boolean): Made['administrator'] {
  const { administrators } = openAccounts(config)
  if (force && administrators.list().some((account) => account.name === name)) return { name, token: null, otpauth: null, secret: null }
  const { token } = administrators.create(
    { name, capabilities: ['administration', 'promotion'], roles: ['administrator'], expiresAt: null },
    now,
  )
  const { uri, secret } = administrators.enrol(name)
  return { name, token, otpauth: uri, secret }
}

/** The default set and its tests (`cordon policy test`), to be changed: files of other names in the folder stay. */
function copyPolicies(folder: string): void {
  mkdirSync(folder, { recursive: true })
  for (const name of readdirSync(defaultFolder)) {
    if (/\.(cedar|tests\.json)$/.test(name)) copyFileSync(join(defaultFolder, basename(name)), join(folder, name))
  }
}
