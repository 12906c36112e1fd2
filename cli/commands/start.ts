import type { Command } from 'commander'
import { loadConfig } from '../config/load.ts'
import type { DemoOptions } from '../demo/demo.ts'
import { configFlags, type StartFlags, withConfigFlags } from './config-flags.ts'
import { stopOnSignal } from './stop.ts'

export function startCommand(start: Command, version: string): void {
  withConfigFlags(start, { inference: true, console: true })
    .option('--demo', 'play ordinary clients and three attackers on handwritten digits, and tell what happens')
    .option('--no-demo', 'without traffic of its own (default)')
    .option('--json', 'print one line of JSON when ready')
    .action(async (flags: StartFlags & { demo?: boolean; json?: boolean }) => {
      const loaded = loadConfig({ file: flags.config, environment: process.env, flags: configFlags(flags) })
      // The story and the log would garble each other on one terminal.
      const quiet = flags.demo === true && !loaded.sources.has('log.level')
      const { startInstance } = await import('../instance/start.ts')
      const instance = await startInstance(quiet ? { ...loaded.config, log: { level: 'warn' } } : loaded.config, version)
      const abort = new AbortController()
      const print = (line: string) => process.stdout.write(`${line}\n`)
      if (flags.json === true) print(JSON.stringify({ ready: true, inference: instance.inference, console: instance.console }))
      else
        print(
          `inference  ${instance.inference}/v2/models/digits\nconsole    ${instance.console}/#token=${instance.token}\nstop       Ctrl-C\n`,
        )
      const demo =
        flags.demo === true
          ? play({
              ...instance,
              write: flags.json === true ? () => {} : print,
              colour: process.stdout.isTTY,
              clock: Date.now,
              signal: abort.signal,
            }).catch((error: Error) => console.error(`cordon: the demo failed, and the rest goes on: ${error.message}`))
          : Promise.resolve()
      await stopOnSignal(async () => {
        abort.abort()
        await demo
        return instance.stop()
      })
    })
}

/** Its attackers are nobody's who does not ask for them. */
async function play(options: DemoOptions): Promise<void> {
  const { runDemo } = await import('../demo/demo.ts')
  return runDemo(options)
}
