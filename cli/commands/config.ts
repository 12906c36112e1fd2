import type { Command } from 'commander'
import { loadConfig } from '../config/load.ts'
import { type ShownSetting, shownSettings } from '../config/show.ts'
import { type Column, openOutput } from '../output.ts'
import { configFlags, type StartFlags, withConfigFlags } from './config-flags.ts'

const columns: readonly Column[] = [
  { title: 'SETTING', of: (s: ShownSetting) => s.setting },
  { title: 'VALUE', of: (s: ShownSetting) => JSON.stringify(s.value) },
  { title: 'SOURCE', of: (s: ShownSetting) => s.source },
  { title: 'FROM', of: (s: ShownSetting) => s.from },
  { title: 'ENVIRONMENT', of: (s: ShownSetting) => s.environment },
]

export function configCommand(config: Command): void {
  withConfigFlags(config, { inference: true, console: true })
    .option('--show', 'print every setting, its value and where the value came from')
    .option('--json', 'print JSON: one object a line')
    .action((flags: StartFlags & { show?: boolean; json?: boolean }) => {
      const loaded = loadConfig({ file: flags.config, environment: process.env, flags: configFlags(flags) })
      const output = openOutput(flags.json === true, (line) => process.stdout.write(`${line}\n`))
      if (flags.show === true || flags.json === true) output.list(shownSettings(loaded), columns, '')
      else
        output.one({}, `${loaded.file ?? 'no file; every setting is a default, from the environment or a flag'}: valid (--show prints it)`)
    })
}
