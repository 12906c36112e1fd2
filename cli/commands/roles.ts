import type { Command } from 'commander'
import type { RoleName } from '../../schemas/index.ts'
import { loadConfig } from '../config/load.ts'
import { startRole } from '../instance/role.ts'
import { configFlags, type StartFlags, withConfigFlags } from './config-flags.ts'
import { stopOnSignal } from './stop.ts'

const descriptions: Readonly<Record<RoleName, string>> = {
  node: 'serve models: answer requests, enforce containments, emit events',
  ingest: 'take flows and telemetry over HTTP, and store every event in ClickHouse',
  detect: 'run the detectors',
  respond: 'turn findings into incidents and containments; one is in charge, others stand by',
  console: "serve the analyst's page and the API that the commands speak to",
}

/** One command a role: the same code as `start`, in a process of its own, over Kafka. */
export function roleCommands(program: Command, version: string): void {
  for (const role of Object.keys(descriptions) as RoleName[]) {
    withConfigFlags(program.command(role).description(`${descriptions[role]} (a process of its own, over Kafka)`), {
      inference: role === 'node',
      console: role === 'console',
    })
      .option('--json', 'print one line of JSON when ready')
      .action(async (flags: StartFlags & { json?: boolean }) => {
        const { config } = loadConfig({ file: flags.config, environment: process.env, flags: configFlags(flags) })
        const running = await startRole(role, config, version)
        const { instance, url } = running
        const words = `${role}  ${instance}${url === null ? '' : `  ${url}`}\nstop  Ctrl-C\n`
        process.stdout.write(flags.json === true ? `${JSON.stringify({ ready: true, role, instance, url })}\n` : words)
        await stopOnSignal(() => running.stop())
      })
  }
}
