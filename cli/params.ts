import { CliError } from './errors.ts'

/** `name=value` pairs; a value that is JSON (a number, true, null) is read as such, unless that would change how it is written. */
export function parseParams(pairs: readonly string[]): Record<string, unknown> {
  const params: Record<string, unknown> = {}
  for (const pair of pairs) {
    const at = pair.indexOf('=')
    if (at < 1) throw new CliError('USAGE', `${JSON.stringify(pair)} is no parameter: write name=value`)
    params[pair.slice(0, at)] = valueOf(pair.slice(at + 1))
  }
  return params
}

/** The version 1.10 and the principal 1e5 are not the numbers 1.1 and 100000. */
function valueOf(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'number' && String(value) !== text ? text : value
  } catch {
    return text
  }
}
