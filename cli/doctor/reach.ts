import { Agent, request } from 'undici'
import { type ClockReader, readingOf } from './clock-reading.ts'

const withinMs = 5_000
/** Bytes of an answer. */
const maxBytes = 262_144

export interface Reached {
  readonly status: number
  readonly body: string
}

export interface Asking {
  readonly headers?: Readonly<Record<string, string>>
  /** PEM of the authorities that the server's certificate may be of; default the system's. */
  readonly ca?: string | undefined
  /** Whose clock the answer's `Date` tells; without it nobody's. */
  readonly clockOf?: string
}

/** One GET, bounded in size and time; redirects are not followed. Rejects where there is no answer. */
export async function reach(url: string, { clocks, now }: ClockReader, asking: Asking = {}): Promise<Reached> {
  const { ca, clockOf, headers = {} } = asking
  const dispatcher = new Agent({ maxResponseSize: maxBytes, ...(ca === undefined ? {} : { connect: { ca } }) })
  try {
    const signal = AbortSignal.timeout(withinMs)
    const sent = now()
    const answer = await request(url, { dispatcher, signal, headers: { accept: 'application/json', ...headers } })
    const reading = readingOf(answer.headers.date, answer.headers.age, sent, now())
    const body = await answer.body.text()
    if (clockOf !== undefined && reading !== null) clocks.set(clockOf, reading)
    return { status: answer.statusCode, body }
  } finally {
    await dispatcher.destroy()
  }
}

/** JSON, or undefined where it is none. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** An address as people may see it: some write the password into it. */
export function withoutLogin(url: string): string {
  return url.replace(/^(\w+:\/\/)[^/?#]*@/, '$1')
}
