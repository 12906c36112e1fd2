import { CliError } from './errors.ts'

const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

const pattern = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/

export function isDuration(text: string): boolean {
  return pattern.test(text)
}

/**
 * `250ms`, `30s`, `10m`, `2h`, `7d` as milliseconds.
 *
 * @throws CliError `USAGE`
 */
export function parseDuration(text: string): number {
  const match = pattern.exec(text)
  const unit = units[match?.[2] ?? '']
  if (match?.[1] === undefined || unit === undefined) {
    throw new CliError('USAGE', `${JSON.stringify(text)} is no duration: write 30s, 10m, 2h or 7d`)
  }
  return Math.round(Number(match[1]) * unit)
}

/**
 * An instant as people give it: ISO 8601, milliseconds since the epoch, or a duration back from `now`.
 *
 * @throws CliError `USAGE`
 */
export function parseInstant(text: string, now: number): number {
  if (/^\d{10,}$/.test(text)) return Number(text)
  if (isDuration(text)) return now - parseDuration(text)
  const at = Date.parse(text)
  if (Number.isNaN(at))
    throw new CliError('USAGE', `${JSON.stringify(text)} is no time: write 2026-11-21T09:00:00Z, milliseconds, or 1h for an hour ago`)
  return at
}
