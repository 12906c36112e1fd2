import type { Command } from 'commander'
import { type LoadedConfig, loadConfig } from '../config/load.ts'
import type { Examined } from '../doctor/check.ts'
import { runDoctor } from '../doctor/doctor.ts'
import { cell } from '../output.ts'
import { configFlags, type StartFlags, withConfigFlags } from './config-flags.ts'

const words = { ok: 'ok', warn: 'WARN', fail: 'FAIL' } as const

export function doctorCommand(doctor: Command): void {
  withConfigFlags(doctor, { inference: true, console: true })
    .option('--json', 'print JSON: one check a line')
    .action(async (flags: StartFlags & { json?: boolean }) => {
      const shows = process.stderr.isTTY && flags.json !== true
      const examined = await runDoctor({
        loaded: loadedOrWhy(flags),
        environment: process.env,
        now: Date.now,
        ...(shows ? { onProgress: showProgress } : {}),
      })
      if (shows) process.stderr.write('\r\u001b[K')
      if (flags.json === true)
        for (const { id, title, status, found, advice = null } of examined) print(JSON.stringify({ id, title, status, found, advice }))
      else print(textOf(examined))
      // What ran past its deadline may still hold a socket open, and nobody waits for it.
      process.exit(examined.some(({ status }) => status === 'fail') ? 1 : 0)
    })
}

function loadedOrWhy(flags: StartFlags): LoadedConfig | Error {
  // A flag that is wrong is wrong usage, and no finding.
  const settings = configFlags(flags)
  try {
    return loadConfig({ file: flags.config, environment: process.env, flags: settings })
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

function textOf(examined: readonly Examined[]): string {
  const width = Math.max(...examined.map(({ title }) => cell(title).length))
  const lines = examined.flatMap(({ title, status, found, advice }) => [
    `${words[status].padEnd(4)}  ${cell(title).padEnd(width)}  ${cell(found)}`,
    ...(advice === undefined ? [] : [`${' '.repeat(width + 8)}→ ${cell(advice)}`]),
  ])
  const count = (status: Examined['status']) => examined.filter((one) => one.status === status).length
  const [failed, warned] = [count('fail'), count('warn')]
  const sum = failed + warned === 0 ? 'all is well' : `${failed} failed, ${warned} to know of, ${count('ok')} well`
  return [...lines, '', sum].join('\n')
}

function showProgress(done: number, all: number): void {
  process.stderr.write(`\r\u001b[Kchecking: ${done} of ${all}`)
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
