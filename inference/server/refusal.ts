import { CordonError, type Outcome } from '../../schemas/index.ts'
import type { Dialect } from './exchange.ts'

type Exit = { readonly status: number; readonly outcome: Outcome; readonly title: string; readonly type?: string }

const problems = 'https://iana.org/assignments/http-problem-types#'

/**
 * Every way in which a request does not get its answer. What a client is told never depends on why: a contained
 * principal reads what one over its ordinary quota reads, and a drained pool looks like a busy one.
 */
const exits = {
  MALFORMED: { status: 400, outcome: 'invalid', title: 'Bad request' },
  UNAUTHENTICATED: { status: 401, outcome: 'unauthenticated', title: 'A valid key is needed' },
  DENIED: { status: 403, outcome: 'denied', title: 'Not permitted' },
  NOT_FOUND: { status: 404, outcome: 'invalid', title: 'Not found' },
  TIMED_OUT: { status: 408, outcome: 'invalid', title: 'The request took too long to arrive' },
  TOO_LARGE: { status: 413, outcome: 'invalid', title: 'The body is too large' },
  MEDIA_TYPE: { status: 415, outcome: 'invalid', title: 'The body has an unsupported type' },
  INPUT_INVALID: { status: 422, outcome: 'invalid', title: 'The input does not fit the model' },
  THROTTLED: { status: 429, outcome: 'throttled', title: 'Quota exceeded', type: `${problems}quota-exceeded` },
  EXPECTATION: { status: 417, outcome: 'invalid', title: 'The expectation cannot be met' },
  HEADERS_TOO_LARGE: { status: 431, outcome: 'invalid', title: 'The headers are too large' },
  ABORTED: { status: 499, outcome: 'aborted', title: 'The client went away' },
  FAILED_UPSTREAM: { status: 502, outcome: 'failed', title: 'The model could not answer' },
  TIMED_OUT_UPSTREAM: { status: 504, outcome: 'failed', title: 'The model did not answer in time' },
  FAILED: { status: 500, outcome: 'failed', title: 'The request could not be answered' },
  QUARANTINED: {
    status: 503,
    outcome: 'quarantined',
    title: 'Temporarily reduced capacity',
    type: `${problems}temporary-reduced-capacity`,
  },
  OVERLOADED: {
    status: 503,
    outcome: 'overloaded',
    title: 'Temporarily reduced capacity',
    type: `${problems}temporary-reduced-capacity`,
  },
} as const satisfies Record<string, Exit>

export type RefusalCode = keyof typeof exits

export interface RefusalDetails {
  readonly headers?: Readonly<Record<string, string>>
  /** The lease that refuses; recorded, never told. */
  readonly lease?: string
  /** Names of the quota policies that were violated (draft-ietf-httpapi-ratelimit-headers). */
  readonly policies?: readonly string[]
  /** The field that is wrong, for clients of the OpenAI API. */
  readonly param?: string
  /** What exactly is wrong, for clients of the OpenAI API, which branch on it; else the code. */
  readonly reason?: string
  readonly cause?: unknown
}

/** A refusal on its way to the client; `message` is read by the client. */
export class Refusal extends CordonError<RefusalCode> {
  readonly details: RefusalDetails

  constructor(code: RefusalCode, message: string, details: RefusalDetails = {}) {
    super(code, message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'Refusal'
    this.details = details
  }

  get status(): number {
    return exits[this.code].status
  }

  get outcome(): Outcome {
    return exits[this.code].outcome
  }

  /** The body of the answer, in the client's dialect. */
  body(dialect: Dialect): string {
    return dialect === 'openai' ? this.#asError() : this.#asProblem()
  }

  /** The error object of the OpenAI API. */
  #asError(): string {
    const { status } = this
    const { param = null, reason = exitWord(this.code) } = this.details
    return JSON.stringify({ error: { message: this.message, type: errorType(status), param, code: reason } })
  }

  /** RFC 9457 problem details, with `error` for clients of the Open Inference Protocol. */
  #asProblem(): string {
    const exit: Exit = exits[this.code]
    const { policies } = this.details
    return JSON.stringify({
      type: exit.type ?? 'about:blank',
      title: exit.title,
      status: exit.status,
      detail: this.message,
      error: this.message,
      ...(policies === undefined ? {} : { 'violated-policies': policies }),
    })
  }
}

/** Clients read it: a drained pool is a busy one. */
function exitWord(code: RefusalCode): string {
  return (code === 'QUARANTINED' ? 'OVERLOADED' : code).toLowerCase()
}

/** Content type of a refusal's body, by dialect. */
export const refusalType: Readonly<Record<Dialect, string>> = { oip: 'application/problem+json', openai: 'application/json' }

/** What clients of the OpenAI API branch on. */
function errorType(status: number): string {
  if (status === 401) return 'authentication_error'
  if (status === 403) return 'permission_error'
  if (status === 429) return 'rate_limit_error'
  return status < 500 ? 'invalid_request_error' : 'server_error'
}

const interfaces: Readonly<Record<Dialect, string>> = { oip: 'the Open Inference Protocol, version 2', openai: 'the OpenAI API' }

/** The refusal that an HTTP status of the framework stands for; what is not the client's doing is `FAILED`. */
export function refusalOfStatus(status: number | undefined, cause: unknown, dialect: Dialect = 'oip'): Refusal {
  const details = { cause }
  if (status === 404) return new Refusal('NOT_FOUND', `There is nothing here; the interface is ${interfaces[dialect]}.`, details)
  if (status === 408) return new Refusal('TIMED_OUT', 'Send the whole request at once.', details)
  if (status === 413) return new Refusal('TOO_LARGE', 'Send less in one request.', details)
  if (status === 415) return new Refusal('MEDIA_TYPE', 'Send application/json.', details)
  if (status === 417) return new Refusal('EXPECTATION', 'Expect nothing but 100-continue.', details)
  if (status === 431) return new Refusal('HEADERS_TOO_LARGE', 'Send fewer or shorter headers.', details)
  if (status !== undefined && status >= 400 && status < 500)
    return new Refusal('MALFORMED', `The request is not well formed: the interface is ${interfaces[dialect]}.`, details)
  return new Refusal('FAILED', 'Something went wrong on our side; try again.', details)
}
