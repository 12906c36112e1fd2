import { randomBytes } from 'node:crypto'
import { Registry } from 'prom-client'
import { keyCommands } from '../../../access/key-commands.ts'
import { openKeys } from '../../../access/key-registry.ts'
import { openView } from '../../../bus/view.ts'
import type { ConsolePorts } from '../../../console/port.ts'
import { createConsole } from '../../../console/server.ts'
import { configurations } from '../../../inference/configuration.ts'
import { collector } from '../../../ingest/collector.ts'
import { openCommander } from '../../../pipeline/commands/commander.ts'
import { topicsObserved } from '../../../pipeline/host/input.ts'
import type { Store } from '../../../store/store.ts'
import { openAccounts } from '../accounts.ts'
import { openCallers } from '../callers.ts'
import { watchContainments } from '../containment-views.ts'
import type { Context } from '../context.ts'
import { watchInstances } from '../instances.ts'
import { limitViews } from '../limits.ts'
import { listening, urlOf } from '../listen.ts'
import { administrationOf } from '../policy.ts'
import { consolePorts } from '../ports.ts'
import { tailFindings } from '../recent.ts'
import { tailActions } from '../recent-actions.ts'
import { openStatus } from '../status.ts'
import { configuredDetectors } from './detect.ts'

export interface RunningConsole {
  readonly url: string
  readonly ports: ConsolePorts
}

/** The analyst's page and the API, over what is on the bus and in the store. What people want is ordered, not done, here. */
export async function runConsole(context: Context, store: Store, token: string, options: { collects: boolean }): Promise<RunningConsole> {
  const { config, version, bus, clock, registry, log, closers, instance, warn } = context
  const startedAt = clock()
  const keys = closers.keep('keys', await openKeys({ bus, onError: warn('a key could not be read') }))
  const models = closers.keep('models', await openView(bus, 'models', { onError: warn('a model could not be read') }))
  const incidents = closers.keep('incidents', await openView(bus, 'incidents', { onError: warn('an incident could not be read') }))
  const shares = closers.keep('shares', await openView(bus, 'shares', { onError: warn('a share of a limit could not be read') }))
  const findings = closers.keep('findings', await tailFindings(bus, warn('a finding could not be read')))
  const actions = closers.keep('actions', await tailActions(bus, warn('an action could not be read')))
  const instances = closers.keep('instances', watchInstances(await context.heartbeats(), clock))
  const leases = closers.keep('leases', await openView(bus, 'containments', { onError: warn('a lease could not be read') }))
  const { liveNodes } = instances
  const onError = warn('an acknowledgement could not be read')
  const containments = closers.keep('containments', await watchContainments({ bus, leases, liveNodes, clock, onError }))
  const commander = closers.keep('commander', await openCommander({ bus, clock, log, source: instance }))
  const status = openStatus({ version, startedAt, bus, store, instances, clock, detecting: topicsObserved(configuredDetectors(config)) })
  const ports = consolePorts({
    bus,
    store,
    keys,
    keyCommands: keyCommands({ keys, order: (order, by) => commander.order(order, by), clock }),
    models,
    incidents,
    findings,
    actions,
    containments,
    commander,
    limits: limitViews(config),
    shares,
    status,
  })
  const plugins = options.collects ? [collector({ bus, clock, log, source: instance })] : []
  const { secondFactor, secondFactorMs } = config.access
  const accounts = openAccounts(config, warn('nobody is let in by an account: their file could not be read'))
  // Addresses are told from each other in this process's log alone; and what it counts would be counted twice beside a node.
  const authenticator = openCallers({ ...context, registry: new Registry() }, { addressKey: randomBytes(32) }, { keys })
  const policy = await context.policy()
  const permission = policy === null ? {} : { permission: administrationOf(policy, configurations(config.models)) }
  const access = { accounts, authenticator, secondFactor, secondFactorMs, clock, ...permission }
  const app = closers.keep('console', await createConsole({ ports, token, access, registry, log, plugins }))
  await listening('console', config.console, () => app.listen(config.console))
  const url = urlOf(app, config.console.host)
  await context.heart('console', () => ({ ok: true, summary: `serving ${url}` }))
  return { url, ports }
}
