import { fork } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { environmentName } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { CliError } from '../errors.ts'
import { openLog } from './context.ts'
import { openProcesses, type Processes } from './processes.ts'

const main = fileURLToPath(new URL('../main.ts', import.meta.url))

export interface Started {
  /** The configuration file; null where there is none. */
  readonly file: string | null
  /** Each says in JSON when it is ready. */
  readonly json: boolean
}

/**
 * Runs `inference.processes` nodes on this machine, each in a process of its own; resolves when all are ready.
 *
 * @throws CliError `CONFIG_INVALID` for what several processes cannot share, `START_FAILED`
 */
export function startNodes(config: Config, { file, json }: Started): Promise<Processes> {
  checkProcesses(config)
  const args = ['node', ...(file === null ? [] : ['--config', file]), ...(json ? ['--json'] : [])]
  return openProcesses({
    count: config.inference.processes,
    // Detached, so that a terminal's Ctrl-C reaches this process alone, which stops them in order; should it be killed, they see that.
    begin: (number) => fork(main, args, { env: { ...process.env, ...environmentOf(number, config) }, detached: true }),
    log: openLog(config.log.level),
  })
}

/** What each has for itself, and what came by flags, which would count for more: flags are not handed on. */
export function environmentOf(number: number, { inference, dataDir, metrics, log }: Config): Readonly<Record<string, string>> {
  const settings: readonly (readonly [string, string | number | boolean])[] = [
    ['dataDir', join(dataDir, `node-${number}`)],
    ['inference.node', `${inference.node}-${number}`],
    ['inference.port', inference.port],
    ['inference.processes', 1],
    ['inference.reusePort', true],
    // One after the other, so that each can be scraped.
    ...(metrics.port === null ? [] : [['metrics.port', metrics.port === 0 ? 0 : metrics.port + number - 1] as const]),
    ['log.level', log.level],
  ]
  return Object.fromEntries(settings.map(([path, value]) => [environmentName(path), String(value)]))
}

function checkProcesses({ inference: { processes, port, node }, metrics }: Config): void {
  const refuse = (setting: string, why: string) => {
    throw new CliError('CONFIG_INVALID', `${setting}: ${processes} processes (inference.processes) ${why}`)
  }
  if (port === 0) refuse('inference.port', 'share a port that is given: 0 would be another for each')
  if ((metrics.port ?? 0) + processes - 1 > 65_535) refuse('metrics.port', 'have one each, from this one on, and they end at 65535')
  if (node.length > 120) refuse('inference.node', 'have a number behind the name, which is too long for one')
}
