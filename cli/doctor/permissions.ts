import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../config/schema.ts'
import { type Check, type DoctorContext, type Result, worst } from './check.ts'

/** Every file with a secret in it that this configuration names, or that the data directory may have. */
function secretFiles({ config, file }: DoctorContext): string[] {
  const { dataDir, secretsFile, access, bus, inference, pools, policy } = config
  const kept = ['secrets.json', 'token', 'audit/node/key.pem', 'audit/orders/key.pem'].map((name) => join(dataDir, name))
  const accounts = access.accountsFile ?? join(dataDir, 'accounts.json')
  const named = [
    secretsFile,
    bus.keyFile,
    inference.tls?.keyFile,
    policy.opa.tokenFile,
    ...pools.map(({ upstream }) => upstream?.tokenFile),
  ]
  return [...kept, accounts, `${accounts}.used`, ...(holdsSecrets(config) ? [file] : []), ...named].flatMap((one) => one ?? [])
}

/** Passwords may come by the environment; then the file has none, and a stranger's look at it does no harm. */
function holdsSecrets({ bus, store, telemetry }: Config): boolean {
  return bus.password !== null || store.password !== null || Object.keys(telemetry.otlpHeaders).length > 0
}

/** @param me the user that the process runs as; undefined where there are none (Windows) */
export function judgeFile(path: string, me: number | undefined): Result | null {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) return null
  if (!found.isFile()) return { status: 'fail', found: `${path} is no file`, advice: 'name the file that holds the secret' }
  const mode = (found.mode & 0o777).toString(8).padStart(4, '0')
  if ((found.mode & 0o077) !== 0)
    return {
      status: 'fail',
      found: `${path} has mode ${mode}: others can use the secret in it`,
      advice: `chmod 600 ${path}, and replace the secret if anybody else was on this machine`,
    }
  if (me !== undefined && me !== 0 && found.uid !== me)
    return { status: 'fail', found: `${path} belongs to user ${found.uid}, and we are ${me}`, advice: `chown ${me} ${path}` }
  return { status: 'ok', found: path }
}

export const permissionCheck: Check = {
  id: 'permissions',
  title: 'Files with secrets',
  async run(context) {
    const me = process.getuid?.()
    const results = secretFiles(context).flatMap((path) => judgeFile(path, me) ?? [])
    const dir = statSync(context.config.dataDir, { throwIfNoEntry: false })
    if (dir !== undefined && (dir.mode & 0o022) !== 0)
      results.push({
        status: 'fail',
        found: `others can write into ${context.config.dataDir}`,
        advice: `chmod 700 ${context.config.dataDir}`,
      })
    return worst(results, 'there are none yet; they are made with mode 0600')
  },
}
