import type { Seen } from './limits-clients.ts'
import { quantile } from './quantile.ts'

export interface LimitRun {
  /** What was answered with 200, by the price table, over the ceiling; below 0 it was not all used. */
  readonly overshootPercent: number
  /** The same of what the model server began, whoever lived to hear the answer. */
  readonly billedOvershootPercent: number
  readonly answered: number
  /** With 429. */
  readonly refused: number
  /** Of these, before 95 % of what could be spent was. */
  readonly refusedEarly: number
  /** And of these, how many told to wait for more than a minute. */
  readonly sentAway: number
  /** Otherwise not answered: by status, 0 is a connection that broke. */
  readonly failed: Readonly<Record<string, number>>
  /** Since the clients began, until so much of the ceiling had been answered for; null where it never was. */
  readonly secondsTo: { readonly half: number | null; readonly p95: number | null; readonly p99: number | null; readonly last: number }
  /** Longest time in which nobody was answered, before 95 % of what could be spent was, milliseconds. */
  readonly longestSilenceMs: number
  /** When it was done what was done midway, seconds; null where nothing was. */
  readonly actedSeconds: number | null
  /** What a client waited beyond the model's own time, until 95 % was spent, milliseconds. */
  readonly overheadMs: { readonly p50: number; readonly p99: number }
  /** How long refusing takes. */
  readonly refusalMs: { readonly p50: number; readonly p99: number }
}

export interface Truth {
  readonly ceiling: number
  readonly billed: number
  readonly actedMs: number | null
}

/** @param seen in the order in which it was seen */
export function outcomeOf(seen: readonly Seen[], { ceiling, billed, actedMs }: Truth): LimitRun {
  const answers = seen.filter(({ status }) => status === 200)
  const spent = answers.reduce((sum, { cost }) => sum + cost, 0)
  const early = when(answers, 0.95 * Math.min(spent, ceiling)) ?? 0
  const refusals = seen.filter(({ status }) => status === 429)
  const refusedEarly = refusals.filter(({ atMs }) => atMs < early)
  const overheads = answers.filter(({ atMs }) => atMs <= early).map(({ tookMs, heldMs }) => tookMs - heldMs)
  return {
    overshootPercent: percent(spent / ceiling - 1),
    billedOvershootPercent: percent(billed / ceiling - 1),
    answered: answers.length,
    refused: refusals.length,
    refusedEarly: refusedEarly.length,
    sentAway: refusedEarly.filter(({ retryMs }) => retryMs > 60_000).length,
    failed: countBy(seen.filter(({ status }) => status !== 200 && status !== 429)),
    secondsTo: {
      ...{ half: seconds(when(answers, 0.5 * ceiling)), p95: seconds(when(answers, 0.95 * ceiling)) },
      ...{ p99: seconds(when(answers, 0.99 * ceiling)), last: seconds(answers.at(-1)?.atMs ?? 0) ?? 0 },
    },
    longestSilenceMs: longestGap(answers.filter(({ atMs }) => atMs <= early).map(({ atMs }) => atMs)),
    actedSeconds: seconds(actedMs),
    overheadMs: { p50: round(quantile(overheads, 0.5)), p99: round(quantile(overheads, 0.99)) },
    refusalMs: latencyOf(refusals),
  }
}

function latencyOf(seen: readonly Seen[]): LimitRun['refusalMs'] {
  const took = seen.map(({ tookMs }) => tookMs)
  return { p50: round(quantile(took, 0.5)), p99: round(quantile(took, 0.99)) }
}

/** When that much had been answered for, milliseconds. */
function when(answers: readonly Seen[], amount: number): number | null {
  let sum = 0
  for (const { cost, atMs } of answers) {
    sum += cost
    if (sum >= amount) return atMs
  }
  return null
}

function longestGap(times: readonly number[]): number {
  let longest = 0
  for (let i = 1; i < times.length; i++) longest = Math.max(longest, (times[i] ?? 0) - (times[i - 1] ?? 0))
  return Math.round(longest)
}

function countBy(seen: readonly Seen[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { status } of seen) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

const percent = (share: number) => Number((share * 100).toFixed(3))
const round = (ms: number) => Number(ms.toFixed(1))
const seconds = (ms: number | null) => (ms === null ? null : Number((ms / 1_000).toFixed(2)))
