import { CordonError } from '../schemas/index.ts'

export type ConsoleErrorCode =
  | 'UNAUTHENTICATED'
  | 'FORBIDDEN' // the capability is missing, or policies forbid it
  | 'UNDECIDED' // policies could not be asked
  | 'SECOND_FACTOR' // the action is privileged, and no second factor was proven lately
  | 'SECOND_FACTOR_PAUSED' // too many wrong codes
  | 'TOO_MANY_ATTEMPTS'
  | 'PROVIDER_AWAY'
  | 'NOT_FOUND'
  | 'INVALID_REQUEST'
  | 'STORE_TIMEOUT'

export class ConsoleError extends CordonError<ConsoleErrorCode> {
  /** After which it is worth to try again, milliseconds. */
  readonly retryMs: number | undefined
  /** A code of an authenticator would do. */
  readonly takesCode: boolean

  constructor(code: ConsoleErrorCode, message: string, details: { readonly retryMs?: number; readonly takesCode?: boolean } = {}) {
    super(code, message)
    this.retryMs = details.retryMs
    this.takesCode = details.takesCode ?? false
  }
}

const statuses: Readonly<Record<ConsoleErrorCode, number>> = {
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  UNDECIDED: 503,
  SECOND_FACTOR: 403,
  SECOND_FACTOR_PAUSED: 429,
  TOO_MANY_ATTEMPTS: 429,
  PROVIDER_AWAY: 503,
  NOT_FOUND: 404,
  INVALID_REQUEST: 422,
  STORE_TIMEOUT: 503,
}

export interface Problem {
  readonly type: 'about:blank'
  readonly title: string
  readonly status: number
  readonly code: string
  readonly detail: string
  readonly error: string
  /** The header that takes a code, where one would do. */
  readonly header?: typeof otpHeader
}

/** Where a code of an authenticator is sent. */
export const otpHeader = 'X-Cordon-OTP'

/**
 * Any error as RFC 9457 problem details. Coded errors of the rooms behind the ports are the caller's fault unless
 * their code says otherwise; what has no code is ours, and its words stay in the log.
 */
export function problemOf(error: unknown): Problem {
  const status = statusOf(error)
  const known = status < 500 || error instanceof CordonError
  const detail = known ? (error as Error).message.slice(0, 2_000) : 'the console failed to answer; its log says why'
  const code = error instanceof CordonError ? error.code : status < 500 ? 'BAD_REQUEST' : 'INTERNAL'
  const problem = { type: 'about:blank', title: titleOf(status), status, code, detail, error: detail } as const
  return error instanceof ConsoleError && error.takesCode ? { ...problem, header: otpHeader } : problem
}

function statusOf(error: unknown): number {
  if (error instanceof ConsoleError) return statuses[error.code]
  if (error instanceof CordonError)
    return /^BUS_|UNAVAILABLE|AWAY|TIMEOUT|CLOSED/.test(error.code) ? 503 : /NOT_FOUND|UNKNOWN_QUERY/.test(error.code) ? 404 : 422
  const given = (error as { statusCode?: unknown } | null)?.statusCode
  return typeof given === 'number' && given >= 400 && given < 500 ? given : 500
}

function titleOf(status: number): string {
  const titles: Readonly<Record<number, string>> = {
    401: 'Unauthorized',
    403: 'Forbidden',
    404: 'Not Found',
    413: 'Content Too Large',
    415: 'Unsupported Media Type',
    422: 'Unprocessable Content',
    429: 'Too Many Requests',
    503: 'Service Unavailable',
  }
  return titles[status] ?? (status < 500 ? 'Bad Request' : 'Internal Server Error')
}
