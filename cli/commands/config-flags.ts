import type { Command } from 'commander'
import { CliError } from '../errors.ts'

export interface StartFlags {
  readonly config?: string
  readonly dataDir?: string
  readonly port?: string
  readonly consolePort?: string
  readonly logLevel?: string
}

/** Adds the flags that are settings; those of ports where the command has that listener. */
export function withConfigFlags(command: Command, listens: { readonly inference?: boolean; readonly console?: boolean } = {}): Command {
  command
    .option('--config <file>', 'configuration file (default: cordon.config.yaml where there is one)')
    .option('--data-dir <dir>', 'where the log, the store, secrets and spools live (default ./.cordon)')
    .option('--log-level <level>', 'trace, debug, info, warn, error or silent (default info)')
  if (listens.inference === true) command.option('--port <n>', 'port of the inference node; 0 picks a free one (default 8080)')
  if (listens.console === true) command.option('--console-port <n>', 'port of the console; 0 picks a free one (default 8090)')
  return command
}

/** Flags as dotted settings, for loadConfig. */
export function configFlags(flags: StartFlags): ReadonlyMap<string, unknown> {
  const map = new Map<string, unknown>()
  if (flags.dataDir !== undefined) map.set('dataDir', flags.dataDir)
  if (flags.port !== undefined) map.set('inference.port', portOf('--port', flags.port))
  if (flags.consolePort !== undefined) map.set('console.port', portOf('--console-port', flags.consolePort))
  if (flags.logLevel !== undefined) map.set('log.level', flags.logLevel)
  return map
}

export function portOf(flag: string, text: string): number {
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port > 65_535)
    throw new CliError('USAGE', `${flag} ${JSON.stringify(text)}: a port is a number from 0 to 65535`)
  return port
}
