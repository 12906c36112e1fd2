import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { CliError } from './errors.ts'

/** What a running instance writes into its data directory for the commands to find it. */
export const InstanceFile = z.object({ pid: z.int(), inference: z.url().nullable(), console: z.url(), startedAt: z.int() })
export type InstanceFile = z.infer<typeof InstanceFile>

export interface Client {
  get<T>(path: string, query?: Readonly<Record<string, string | undefined>>): Promise<T>
  post<T>(path: string, body: unknown): Promise<T>
  /** NDJSON lines as they come, until the server ends or `signal` aborts. */
  follow<T>(path: string, query: Readonly<Record<string, string | undefined>>, signal: AbortSignal): AsyncIterable<T>
}

export interface ClientOptions {
  readonly dataDir: string
  readonly url?: string | undefined
  readonly token?: string | undefined
  /** Code of the account's authenticator, for what is privileged. */
  readonly otp?: string | undefined
  /** Asks the person for one when it is needed; null where nobody can be asked. */
  readonly askOtp?: () => Promise<string | null>
}

const Problem = z.object({
  title: z.string().optional(),
  detail: z.string().optional(),
  code: z.string().optional(),
  error: z.string().optional(),
  header: z.string().optional(),
})

const otpHeader = 'X-Cordon-OTP'

/**
 * Speaks to the console's API of a running instance.
 *
 * @throws CliError `NOT_RUNNING` when none is found, `REFUSED` with the server's own words when it says no
 */
export function openClient(options: ClientOptions): Client {
  const url = options.url ?? readInstance(options.dataDir).console
  const token = options.token ?? readToken(options.dataDir)
  const send = async (path: string, init: RequestInit, otp: string | undefined): Promise<Response> => {
    const headers = new Headers(init.headers)
    headers.set('authorization', `Bearer ${token}`)
    headers.set('accept', 'application/json')
    if (otp !== undefined) headers.set(otpHeader, otp)
    return fetch(new URL(path, url), { ...init, headers }).catch((cause: unknown) => {
      throw new CliError(
        'NOT_RUNNING',
        `no instance answers at ${url}: start one with \`cordon start\`, or name it with --data-dir or --url`,
        { cause },
      )
    })
  }
  const call = async (path: string, init: RequestInit): Promise<Response> => {
    let asked = options.otp !== undefined || options.askOtp === undefined
    let code = options.otp
    for (;;) {
      const response = await send(path, init, code)
      if (response.ok) return response
      const problem = Problem.safeParse(await response.json().catch(() => ({}))).data ?? {}
      if (problem.header === otpHeader && !asked) {
        asked = true
        code = (await options.askOtp?.()) ?? undefined
        if (code !== undefined) continue
      }
      const hint = problem.header === otpHeader && options.otp === undefined ? ' (--otp CODE, or CORDON_OTP)' : ''
      throw new CliError('REFUSED', `${problem.detail ?? problem.error ?? problem.title ?? `${path} answered ${response.status}`}${hint}`)
    }
  }
  return {
    get: async (path, query) => (await call(withQuery(path, query), {})).json(),
    post: async (path, body) =>
      (await call(path, { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } })).json(),
    follow: (path, query, signal) => lines(call(withQuery(path, query), { signal }), signal),
  }
}

async function* lines<T>(pending: Promise<Response>, signal: AbortSignal): AsyncIterable<T> {
  const response = await pending
  if (response.body === null) return
  let rest = ''
  const decoder = new TextDecoder()
  try {
    for await (const chunk of response.body) {
      const parts = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n')
      rest = parts.pop() ?? ''
      for (const part of parts) if (part !== '') yield JSON.parse(part) as T
    }
  } catch (cause) {
    if (!signal.aborted) throw new CliError('NOT_RUNNING', 'the instance ended the stream', { cause })
  }
}

function withQuery(path: string, query: Readonly<Record<string, string | undefined>> = {}): string {
  const search = new URLSearchParams(Object.entries(query).filter((pair): pair is [string, string] => pair[1] !== undefined))
  return search.size === 0 ? path : `${path}?${search}`
}

function readInstance(dataDir: string): InstanceFile {
  try {
    return InstanceFile.parse(JSON.parse(readFileSync(join(dataDir, 'instance.json'), 'utf8')))
  } catch (cause) {
    throw new CliError(
      'NOT_RUNNING',
      `no instance runs in ${dataDir}: start one with \`cordon start\`, or name it with --data-dir or --url`,
      { cause },
    )
  }
}

function readToken(dataDir: string): string {
  try {
    return readFileSync(join(dataDir, 'token'), 'utf8').trim()
  } catch (cause) {
    throw new CliError(
      'NOT_RUNNING',
      `there is no API token in ${dataDir}: name the directory with --data-dir, or give the token of the console's secretsFile (api.json) as CORDON_TOKEN`,
      { cause },
    )
  }
}
