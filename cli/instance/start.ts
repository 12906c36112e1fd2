import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { ConsolePorts } from '../../console/port.ts'
import type { Config } from '../config/schema.ts'
import { CliError } from '../errors.ts'
import { writeAtomically } from './atomic-file.ts'
import { openBusOf, openContext, opening } from './context.ts'
import { runConsole } from './roles/console.ts'
import { runDetect } from './roles/detect.ts'
import { runIngest } from './roles/ingest.ts'
import { runNode } from './roles/node.ts'
import { runRespond } from './roles/respond.ts'
import { openNodeSecrets, openToken } from './secrets.ts'
import { openInstanceStore } from './store.ts'
import { topicConfigs } from './topics.ts'

export interface RunningInstance {
  readonly inference: string
  readonly console: string
  readonly token: string
  readonly dataDir: string
  readonly ports: ConsolePorts
  /** Stops in order: no new requests, then what they left to be handled, then the log. Whether all went well. */
  stop(): Promise<boolean>
}

/**
 * Runs every role in this process.
 *
 * @throws CliError `CONFIG_INVALID` where several are wanted; CordonError of the part that could not start, after closing the others
 */
export async function startInstance(config: Config, version: string): Promise<RunningInstance> {
  if (config.inference.processes > 1)
    throw new CliError('CONFIG_INVALID', 'inference.processes: `cordon start` is one process; `cordon node` runs several')
  return opening(config, async (log, closers) => {
    const { dataDir } = config
    const instance = config.instance ?? config.inference.node
    const bus = await openBusOf(config, instance, log, closers)
    // After the bus, whose lock is the directory's: of two first starts at once only one may make secrets.
    const secrets = openNodeSecrets(config)
    const token = openToken(config)
    await bus.ensureTopics(topicConfigs(config))
    const context = openContext({ config, version, instance, log, closers, bus })
    const startedAt = context.clock()
    const store = await openInstanceStore(context)
    await runIngest(context, store)
    await runRespond(context)
    await runDetect(context)
    const { url: console, ports } = await runConsole(context, store, token, { collects: true })
    const { url: inference } = await runNode(context, secrets)
    const file = join(dataDir, 'instance.json')
    writeAtomically(file, JSON.stringify({ pid: process.pid, inference, console, startedAt }))
    log.info({ inference, console, tookMs: context.clock() - startedAt }, 'ready')
    return {
      inference,
      console,
      token,
      dataDir,
      ports,
      stop: () => {
        rmSync(file, { force: true })
        return closers.closeAll(log)
      },
    }
  })
}
