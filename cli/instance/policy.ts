import { readFileSync } from 'node:fs'
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import type { Permission as Administration } from '../../console/permission.ts'
import type { ServedConfiguration } from '../../inference/configuration.ts'
import type { Permission } from '../../inference/server/permission.ts'
import { policyRequests } from '../../policy/context.ts'
import { type CountedEngine, counted } from '../../policy/counted.ts'
import { openCountries } from '../../policy/countries.ts'
import type { OpaEngine } from '../../policy/opa.ts'
import type { PolicyEngine } from '../../policy/port.ts'
import { type Risks, risksOf } from '../../policy/risks.ts'
import type { Instant, Risk } from '../../schemas/index.ts'
import type { Config } from '../config/schema.ts'
import { CliError } from '../errors.ts'
import type { Closers } from './closers.ts'

/** An engine, and how it is asked. */
export interface Policy {
  readonly engine: CountedEngine
  readonly risks: Risks
  readonly requestOf: ReturnType<typeof policyRequests>
}

/** Of a process's context, what a policy is opened with. */
interface PolicyContext {
  readonly config: Config
  readonly clock: () => Instant
  readonly registry: Registry
  readonly log: Logger
  readonly closers: Closers
}

/**
 * Opens the engine that is configured; null where none is. Cedar's policies are read again every five seconds, and after SIGHUP.
 *
 * @param risks the newest of each principal
 * @throws PolicyError, CliError `CONFIG_INVALID`
 */
export async function openPolicy(context: PolicyContext, risks: { get(principal: string): Risk | undefined }): Promise<Policy | null> {
  const { config, registry } = context
  const { engine: kind, countryDatabase, secondFactorMs } = config.policy
  if (kind === 'none') return null
  const countryOf = countryDatabase === null ? null : await openCountries(countryDatabase)
  const engine = counted(kind === 'opa' ? context.closers.keep('policy agent', await openOpa(context)) : await openCedar(context), registry)
  const present = risksOf(risks)
  return { engine, risks: present, requestOf: policyRequests({ countryOf, risks: present, secondFactorMs }) }
}

/** What a node asks before a model runs. */
export function permissionOf(
  { engine, requestOf }: Omit<Policy, 'engine'> & { readonly engine: PolicyEngine },
  configurationOf: (model: string) => Pick<ServedConfiguration, 'labels'>,
): Permission {
  return {
    engine,
    requestOf({ identity, model, operation: action, address, purpose, arrivedAt: now }) {
      if (identity === null || model === null) throw new TypeError('a policy was asked before it was known who asks for what')
      const { labels } = configurationOf(model)
      return requestOf(identity, { action, resource: model, labels, address, purpose, target: null, now })
    },
  }
}

/** What a console asks before it passes on what a person wants. */
export function administrationOf(
  { engine, requestOf }: Policy,
  configurationOf: (model: string) => Pick<ServedConfiguration, 'labels'>,
): Administration {
  return {
    decide(caller, { action, resource, about: target }, address, now) {
      const labels = action === 'promote' ? configurationOf(resource).labels : null
      return engine.consider(requestOf(caller, { action, resource, labels, address, purpose: null, target, now }))
    },
    denied: (decision) => engine.note(decision),
  }
}

/** Cedar is four megabytes of WebAssembly: whoever does not decide by it does not load it. */
async function openCedar({ config, registry, log, closers }: PolicyContext): Promise<PolicyEngine> {
  const { CedarEngine } = await import('../../policy/cedar.ts')
  const { policySetOf } = await import('../../policy/policy-set.ts')
  const { reloadPolicies } = await import('../../policy/reload.ts')
  const { defaultFolder, readPolicies } = await import('../../policy/directory.ts')
  const folder = config.policy.dir ?? defaultFolder
  const engine = new CedarEngine(policySetOf(readPolicies(folder)))
  const reload = closers.keep('policies', reloadPolicies({ engine, folder, registry, log }))
  const look = () => reload.look()
  process.on('SIGHUP', look)
  closers.add('policies on SIGHUP', () => process.off('SIGHUP', look))
  log.info({ version: engine.version, policies: engine.policies.size, folder }, 'policies are in force')
  return engine
}

/** Its caller closes it. */
export async function openOpa({
  config,
  clock,
  log,
}: Pick<PolicyContext, 'config' | 'clock'> & Partial<Pick<PolicyContext, 'log'>>): Promise<OpaEngine> {
  const { OpaEngine } = await import('../../policy/opa.ts')
  const { url, path, tokenFile, deadlineMs } = config.policy.opa
  const onAway = (reason: string | null) => {
    if (reason === null) log?.info({ url }, 'the policy agent decides again')
    else log?.error({ url, reason }, 'the policy agent is away: nothing is allowed until it decides again')
  }
  return new OpaEngine({ url, path, token: tokenOf(tokenFile), deadlineMs, clock, onAway })
}

function tokenOf(file: string | null): string | null {
  if (file === null) return null
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new CliError('CONFIG_INVALID', `policy.opa.tokenFile: reading ${file}: ${reason}`, { cause })
  }
}
