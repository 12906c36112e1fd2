import { relative } from 'node:path'
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'
import { folder, fromCommandLine, oneOf } from '../command-line.ts'

/** Weights are chosen on the first; the second says how well they do. */
const splits = ['development', 'held-back'] as const

type Values<T extends ParseArgsOptionsConfig> = ReturnType<typeof parseArgs<{ options: T }>>['values']

/**
 * What a script of the lab is asked for. `--help` says what it does and takes; a split or a folder of data that there is not, or
 * something else than a number where the default is one, ends the process with 2.
 */
export function labOptions<const T extends ParseArgsOptionsConfig>(about: string, options: T): Values<T> {
  return fromCommandLine(usageOf(about, options), () => {
    const { values } = parseArgs({ options, allowNegative: true })
    for (const [name, given] of Object.entries(values)) {
      if (typeof given !== 'string') continue
      if (name === 'split') oneOf(name, given, splits)
      if (name === 'data') folder(name, given)
      if (isNumber(options[name]?.default) && !isNumber(given)) throw new RangeError(`--${name}: give a number`)
    }
    return values
  })
}

function usageOf(about: string, options: ParseArgsOptionsConfig): string {
  const lines = Object.entries(options).map(([name, { type, default: otherwise }]) => {
    const value = name === 'split' ? ` ${splits.join('|')}` : type === 'string' ? ' X' : ''
    const said = otherwise === undefined || otherwise === false || otherwise === '' ? '' : `  (default ${String(otherwise)})`
    return `  --${name}${value}${said}`
  })
  return `node ${relative('.', process.argv[1] ?? '')} [options]\n\n${about}\n\n${lines.join('\n')}`
}

function isNumber(value: unknown): boolean {
  return typeof value === 'string' && value !== '' && Number.isFinite(Number(value))
}
