import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from '../config/schema.ts'
import type { ClockReader } from './clock-reading.ts'
import type { Running } from './running.ts'

/** `fail`: it will not work, or not safely. `warn`: it works, and somebody should know. */
export type Status = 'ok' | 'warn' | 'fail'

export interface Result {
  readonly status: Status
  /** What was seen; never a secret. Servers have their say in it, so it is escaped before a terminal has it. */
  readonly found: string
  /** What to do; where it is missing, nothing is. */
  readonly advice?: string
}

export interface DoctorContext extends ClockReader {
  readonly config: Config
  /** The file that the configuration came from; null where every setting is a default or from the environment. */
  readonly file: string | null
  /** Who has the data directory's log open, in words; null where nobody does. */
  readonly held: string | null
  /** The instance of this data directory; null where none runs. */
  readonly running: () => Promise<Running | null>
}

export interface Check {
  /** For scripts; lower-case, with what it is about behind a colon. */
  readonly id: string
  readonly title: string
  /** Default 10,000. */
  readonly deadlineMs?: number
  run(context: DoctorContext): Promise<Result>
}

export interface Examined extends Result {
  readonly id: string
  readonly title: string
}

const deadlineMs = 10_000

/** Runs the checks side by side, each within its deadline. Resolves in their order; never rejects. */
export function examine(checks: readonly Check[], context: DoctorContext, onDone: () => void = () => {}): Promise<Examined[]> {
  return Promise.all(
    checks.map(async (check) => {
      const result = await within(check, context)
      onDone()
      return { id: check.id, title: check.title, ...result }
    }),
  )
}

async function within(check: Check, context: DoctorContext): Promise<Result> {
  const over = new AbortController()
  const most = check.deadlineMs ?? deadlineMs
  const late: Result = {
    status: 'fail',
    found: `no answer within ${most / 1_000} s`,
    advice: 'see whether what it asks is up, and whether a firewall drops what is sent to it',
  }
  try {
    return await Promise.race([check.run(context), delay(most, late, { signal: over.signal })])
  } catch (error) {
    return { status: 'fail', found: reasonOf(error) }
  } finally {
    over.abort()
  }
}

/** The worst of several, with all that was found and advised. */
export function worst(results: readonly Result[], none: string): Result {
  if (results.length === 0) return { status: 'ok', found: none }
  const rank = { ok: 0, warn: 1, fail: 2 } as const
  const status = results.reduce<Status>((most, result) => (rank[result.status] > rank[most] ? result.status : most), 'ok')
  // Where something is wrong, what is well only hides it.
  const told = status === 'ok' ? results : results.filter((result) => result.status !== 'ok')
  const advice = [...new Set(told.flatMap((result) => result.advice ?? []))].join('; ')
  return { status, found: told.map(({ found }) => found).join('; '), ...(advice === '' ? {} : { advice }) }
}

/** Why something failed, with the code that Node and servers put beside empty messages. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const inner = error instanceof AggregateError ? error.errors[0] : undefined
  if (error.message === '' && inner !== undefined) return reasonOf(inner)
  const cause = error.message === 'fetch failed' && error.cause !== undefined ? `: ${reasonOf(error.cause)}` : ''
  const code = 'code' in error && typeof error.code === 'string' && error.message === '' ? error.code : ''
  return `${error.message
    .split('\n')
    .slice(0, 4)
    .map((line) => line.trim())
    .join(' ')
    .slice(0, 500)}${code}${cause}`
}
