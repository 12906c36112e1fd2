import type { Endpoint } from './endpoint.ts'
import { Reception } from './reception.ts'

/** Most bytes of a check's answer. */
const mostBytes = 1_048_576

export interface CheckOptions {
  readonly endpoints: readonly Endpoint[]
  readonly path: string
  readonly headers: readonly string[]
  readonly intervalMs: number
  readonly timeoutMs: number
  readonly onResult: (index: number, well: boolean, reason: string) => void
  /** After each check that went well: a place for what else is to be asked now and then; no check waits for it. Never throws. */
  readonly afterwards: (index: number) => Promise<void>
}

/** Asks each endpoint how it is, again and again, with a jitter of a tenth so that nodes do not ask in step. */
export class Checks {
  readonly #options: CheckOptions
  readonly #timers = new Map<number, NodeJS.Timeout>()
  #closed = false

  constructor(options: CheckOptions) {
    this.#options = options
  }

  /** Resolves after the first check of each, and what is asked afterwards, however it went; after three times `timeoutMs` at the latest. */
  async start(): Promise<void> {
    const late = Promise.withResolvers<void>()
    const timer = setTimeout(late.resolve, 3 * this.#options.timeoutMs)
    const rounds = Promise.all(this.#options.endpoints.map((_, index) => this.#round(index)))
    await Promise.race([rounds, late.promise])
    clearTimeout(timer)
  }

  close(): void {
    this.#closed = true
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.#timers.clear()
  }

  async #round(index: number): Promise<void> {
    const reason = await this.#check(index)
    if (this.#closed) return
    this.#options.onResult(index, reason === undefined, reason ?? '')
    const ms = this.#options.intervalMs * (0.9 + 0.2 * Math.random())
    this.#timers.set(index, setTimeout(() => void this.#round(index), ms).unref())
    if (reason === undefined) await this.#options.afterwards(index)
  }

  /** @returns what was wrong */
  async #check(index: number): Promise<string | undefined> {
    const { endpoints, path, headers, timeoutMs } = this.#options
    try {
      const { status } = await ask(endpoints[index], path, headers, timeoutMs)
      return status >= 200 && status < 300 ? undefined : `status ${status}`
    } catch (error) {
      return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'no answer'
    }
  }
}

/** A bounded question outside the ordinary flow: the whole of it within `timeoutMs`. Throws whatever went wrong. */
export async function ask(
  endpoint: Endpoint | undefined,
  path: string,
  headers: readonly string[],
  timeoutMs: number,
): Promise<{ status: number; body: Buffer }> {
  if (endpoint === undefined) throw new RangeError('There is no such endpoint')
  const reception = new Reception({ connectMs: timeoutMs, firstByteMs: timeoutMs, idleMs: timeoutMs }, endpoint.watch, () => {})
  endpoint.sendAside({ method: 'GET', path, headers: [...headers], body: null }, reception)
  const timer = setTimeout(() => reception.giveUp('late'), timeoutMs)
  try {
    await reception.head
    return { status: reception.status, body: await reception.collect(mostBytes) }
  } finally {
    clearTimeout(timer)
  }
}
