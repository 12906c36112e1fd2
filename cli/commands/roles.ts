import type { Command } from 'commander'
import type { RoleName } from '../../schemas/index.ts'
import { loadConfig } from '../config/load.ts'
import { configFlags, type StartFlags, withConfigFlags } from './config-flags.ts'
import { stopOnSignal } from './stop.ts'

/** One role: the same code as `start`, in a process of its own, over Kafka. */
export function roleCommand(command: Command, version: string, role: RoleName): void {
  withConfigFlags(command, { inference: role === 'node', console: role === 'console' })
    .option('--json', 'print one line of JSON when ready')
    .action(async (flags: StartFlags & { json?: boolean }) => {
      const { config, file } = loadConfig({ file: flags.config, environment: process.env, flags: configFlags(flags) })
      const json = flags.json === true
      if (role === 'node' && config.inference.processes > 1) {
        const { startNodes } = await import('../instance/nodes.ts')
        const running = await startNodes(config, { file, json })
        return stopOnSignal(() => running.stop())
      }
      const { startRole } = await import('../instance/role.ts')
      const running = await startRole(role, config, version)
      const { instance, url } = running
      const words = `${role}  ${instance}${url === null ? '' : `  ${url}`}\nstop  Ctrl-C\n`
      process.stdout.write(json ? `${JSON.stringify({ ready: true, role, instance, url })}\n` : words)
      // Who began it among others waits for that.
      process.send?.('ready')
      return stopOnSignal(() => running.stop())
    })
}
