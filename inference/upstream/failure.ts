import { InferenceError } from '../errors.ts'
import type { EndpointOutcome } from './balancer.ts'
import { type AnswerHeaders, GivenUp } from './reception.ts'

/** Longest pause that an upstream may ask our clients for, seconds. */
const longestRetrySeconds = 300
/** Longest text of an upstream's refusal that a client is shown. */
const longestReason = 300

/** The address, the model's name and the token are the pool's, not the client's: unauthorized, unpaid, not there, not for this host. */
const setUp: ReadonlySet<number> = new Set([401, 402, 403, 404, 405, 407, 410, 421])

/** Content types of answers. */
const known = /^(application\/(json|octet-stream)|text\/event-stream)\s*(;|$)/i

/** How an attempt ended: a label of metrics. */
export type AttemptOutcome = 'success' | 'refused' | 'busy' | 'failed' | 'timeout' | 'unreachable' | 'cancelled'

export interface Failure {
  readonly error: InferenceError
  readonly attempt: AttemptOutcome
  readonly endpoint: EndpointOutcome
  /** Whether another endpoint may be asked: this one cannot have begun the work. */
  readonly retriable: boolean
}

/** What a broken exchange with an endpoint was. `started` says whether anything of the request was sent, `status` 0 that no answer began. */
export function failureOf(cause: Error, started: boolean, status: number, label: string): Failure {
  if (cause instanceof GivenUp && cause.reason !== 'unconnected') return givenUp(cause.reason, cause, label)
  const code = codeOf(cause)
  if (code === 'UND_ERR_DESTROYED' || code === 'UND_ERR_CLOSED') return givenUp('closed', cause, label)
  if (code === 'UND_ERR_INVALID_ARG') return failed(`The request cannot be sent to ${label}`, cause, 'neutral')
  if (!started) {
    const error = new InferenceError('POOL_AWAY', `Connecting to ${label} failed: is it running?`, { cause })
    return { error, attempt: 'unreachable', endpoint: 'unreachable', retriable: true }
  }
  const when = status === 0 ? 'before it answered' : 'its answer, or answered something unreadable'
  return failed(`${label} broke off ${when}`, cause, 'failure')
}

function givenUp(reason: Exclude<GivenUp['reason'], 'unconnected'>, cause: Error, label: string): Failure {
  const neutral = { attempt: 'cancelled', endpoint: 'neutral', retriable: false } as const
  switch (reason) {
    case 'cancelled':
    case 'unread':
      return { ...neutral, error: new InferenceError('CANCELLED', `Nobody waits for the answer of ${label} any more`, { cause }) }
    case 'closed':
      return { ...neutral, error: new InferenceError('CLOSED', 'The upstream pool is closed', { cause }) }
    case 'late':
      return {
        error: new InferenceError('UPSTREAM_TIMEOUT', `${label} did not answer in time`, { cause }),
        attempt: 'timeout',
        endpoint: 'failure',
        retriable: false,
      }
    case 'too-large':
      return failed(`The answer of ${label} is larger than is taken`, cause, 'neutral')
  }
}

function failed(message: string, cause: Error | undefined, endpoint: EndpointOutcome): Failure {
  return {
    error: new InferenceError('UPSTREAM_FAILED', message, cause === undefined ? {} : { cause }),
    attempt: 'failed',
    endpoint,
    retriable: false,
  }
}

/**
 * What an answer's head says that no body can mend; undefined where the body is to be read: 2xx, and refusals of this request.
 *
 * Statuses of {@link setUp} and redirects are a matter of how the pool is set up, and what they say is not for clients; asking less
 * helps nobody, so they do not count against the endpoint.
 */
export function failureOfHead(status: number, headers: AnswerHeaders, label: string, now: number): Failure | undefined {
  if (status === 429 || status === 503) {
    const retryAfter = retryAfterOf(headers['retry-after'], now)
    const options = retryAfter === undefined ? {} : { retryAfter }
    const error = new InferenceError('UPSTREAM_BUSY', `${label} is over its capacity`, options)
    return { error, attempt: 'busy', endpoint: 'neutral', retriable: status === 503 }
  }
  if (status >= 500) return failed(`${label} answered with status ${status}`, undefined, 'failure')
  if (setUp.has(status) || (status >= 300 && status < 400))
    return failed(`${label} answered with status ${status}: check the pool's address, token, and names of models`, undefined, 'neutral')
  if (status > 200 && status < 300)
    return failed(`${label} answered with status ${status}, which is none of its protocol`, undefined, 'failure')
  const encoding = headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity')
    return failed(`${label} compressed its answer, which was not asked for`, undefined, 'neutral')
  if (status === 200 && !known.test(String(headers['content-type'] ?? 'application/json')))
    return failed(`${label} answered with a content type that is none of its protocol`, undefined, 'failure')
  return undefined
}

/** @returns seconds from 1 to 300; undefined where the header is missing or says nothing readable. `now` in milliseconds since the epoch. */
export function retryAfterOf(header: string | string[] | undefined, now: number): number | undefined {
  if (typeof header !== 'string' || header.length > 64) return undefined
  const seconds = /^\d{1,9}$/.test(header) ? Number(header) : (Date.parse(header) - now) / 1_000
  return Number.isFinite(seconds) ? Math.min(longestRetrySeconds, Math.max(1, Math.ceil(seconds))) : undefined
}

/** This request is refused: the one failure whose message clients are shown, so it names no endpoint. */
export function refused(status: number, text?: unknown): InferenceError {
  return new InferenceError('UPSTREAM_REFUSED', reasonOf(text) ?? `The model's server refuses the request with status ${status}`)
}

/** What a client may be shown of an upstream's refusal: printable, at most 300 characters. */
export function reasonOf(text: unknown): string | undefined {
  if (typeof text !== 'string') return undefined
  const printable = text
    .slice(0, 4 * longestReason)
    .replace(/[\p{C}\s]+/gu, ' ')
    .trim()
    .slice(0, longestReason)
    .toWellFormed()
  return printable === '' ? undefined : printable
}

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : ''
}
