import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { RoleName } from '../../schemas/index.ts'
import type { Config } from '../config/schema.ts'
import { CliError } from '../errors.ts'
import { writeAtomically } from './atomic-file.ts'
import { serveCollector } from './collector.ts'
import { type Context, openBusOf, openContext, opening, ownName } from './context.ts'
import { serveHealth } from './health.ts'
import { openNodeSecrets, openToken } from './secrets.ts'
import { openInstanceStore } from './store.ts'
import { checkTopics } from './topics.ts'

export interface RunningRole {
  readonly instance: string
  /** Where it listens; null where it does not. */
  readonly url: string | null
  /** Stops in order; whether all went well. */
  stop(): Promise<boolean>
}

/**
 * Runs one role in this process, over Kafka and (ingest, console) a ClickHouse server.
 *
 * @throws CordonError of the part that could not start, after closing the others
 */
export async function startRole(role: RoleName, config: Config, version: string): Promise<RunningRole> {
  checkShared(role, config)
  return opening(config, async (log, closers) => {
    const instance = role === 'node' ? config.inference.node : ownName(config)
    const bus = await openBusOf(config, instance, log, closers)
    await checkTopics(bus, config, role)
    const context = openContext({ config, version, instance, log, closers, bus })
    const url = await start[role](context)
    log.info({ role, instance, url }, 'ready')
    return { instance, url, stop: () => closers.closeAll(log) }
  })
}

/** Each loads its own role alone: a detect process has no use for TensorFlow. */
const start: Readonly<Record<RoleName, (context: Context) => Promise<string | null>>> = {
  node: async (context) => {
    const { runNode } = await import('./roles/node.ts')
    const { url } = await runNode(context, openNodeSecrets(context.config))
    // Its own listener is for clients, who are told little.
    await serveHealth(context)
    return url
  },
  ingest: async (context) => {
    const { runIngest } = await import('./roles/ingest.ts')
    const token = openToken(context.config)
    await runIngest(context, await openInstanceStore(context))
    return serveCollector(context, token)
  },
  detect: async (context) => {
    const { runDetect } = await import('./roles/detect.ts')
    await runDetect(context)
    return serveHealth(context)
  },
  respond: async (context) => {
    const { runRespond } = await import('./roles/respond.ts')
    await runRespond(context)
    return serveHealth(context)
  },
  console: async (context) => {
    const { runConsole } = await import('./roles/console.ts')
    const { config, closers } = context
    const { url } = await runConsole(context, await openInstanceStore(context), openToken(config), { collects: false })
    const file = join(config.dataDir, 'instance.json')
    mkdirSync(config.dataDir, { recursive: true, mode: 0o700 })
    writeAtomically(file, JSON.stringify({ pid: process.pid, inference: null, console: url, startedAt: context.clock() }))
    closers.add('instance file', () => rmSync(file, { force: true }))
    return url
  },
}

/** A role alone shares everything with others by Kafka, ClickHouse and secrets that are the same everywhere. */
function checkShared(role: RoleName, { bus, store, secretsFile }: Config): void {
  const refuse = (setting: string, why: string) => {
    throw new CliError(
      'CONFIG_INVALID',
      `${setting}: \`cordon ${role}\` ${why} (\`cordon start\` runs every role in one process without it)`,
    )
  }
  if (bus.adapter !== 'kafka') refuse('bus.adapter', 'meets the other roles on Kafka: set it to kafka, and bus.brokers')
  if ((role === 'ingest' || role === 'console') && store.url === null) refuse('store.url', 'needs a ClickHouse server: set its address')
  if (role === 'node' && secretsFile === null) {
    refuse(
      'secretsFile',
      'must have the keys that every node has, or their fingerprints cannot be compared: make them with `cordon secrets create`',
    )
  }
}
