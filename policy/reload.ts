import type { Logger } from 'pino'
import { Counter, Gauge, type Registry } from 'prom-client'
import type { CedarEngine } from './cedar.ts'
import { readPolicies } from './directory.ts'
import { policySetOf, versionOf } from './policy-set.ts'

export interface ReloadOptions {
  readonly engine: CedarEngine
  readonly folder: string
  readonly registry: Registry
  readonly log: Logger
  /** How often the folder is read. Default 5,000 ms; null: only when `look` is called. */
  readonly everyMs?: number | null
}

export interface Reload {
  /** Reads the folder at once, as after SIGHUP. @returns whether what is there is in force */
  look(): boolean
  close(): void
}

/** Takes policies into use when they change on disk. A set that is not valid leaves the one in force, and that is said loudly. */
export function reloadPolicies({ engine, folder, registry, log, everyMs = 5_000 }: ReloadOptions): Reload {
  const failed = new Gauge({
    name: 'cordon_policy_reload_failed',
    help: '1 while the policies on disk are not those in force, because they are not valid or cannot be read',
    registers: [registry],
  })
  const reloads = new Counter({ name: 'cordon_policy_reloads_total', help: 'Policies that were taken into use', registers: [registry] })
  failed.set(0)
  /** What was complained of last: a version on disk, or why none could be read. It is said once. */
  let refused = ''
  const refuse = (what: string, err: unknown) => {
    failed.set(1)
    if (what !== refused) log.error({ err, version: engine.version }, 'the policies on disk are refused; those of before stay in force')
    refused = what
  }
  const look = () => {
    let found = ''
    try {
      const files = readPolicies(folder)
      found = versionOf(files)
      if (found !== engine.version) {
        const before = engine.version
        engine.use(policySetOf(files))
        reloads.inc()
        log.info({ before, version: found, policies: engine.policies.size }, 'other policies are in force')
      }
    } catch (err) {
      refuse(found === '' ? String(err) : found, err)
      return false
    }
    failed.set(0)
    refused = ''
    return true
  }
  const timer = everyMs === null ? undefined : setInterval(look, everyMs).unref()
  return { look, close: () => clearInterval(timer) }
}
