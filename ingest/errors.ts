import { CordonError } from '../schemas/index.ts'

export type IngestErrorCode =
  | 'UNAUTHENTICATED'
  | 'EMPTY_BODY'
  | 'MALFORMED_BODY'
  | 'TOO_LARGE'
  | 'TOO_MANY_EVENTS'
  | 'UNSUPPORTED_TYPE'
  | 'BAD_REQUEST'
  | 'BUS_REFUSED'
  | 'TOO_BUSY'

export class IngestError extends CordonError<IngestErrorCode> {}

export type ReplayErrorCode =
  /** The order was read too late. */
  | 'COMMAND_EXPIRED'
  /** Its topic is one that is not written to from here. */
  | 'NOT_REPLAYABLE'
  /** Neither the topic nor the letter has the record any more. */
  | 'RECORD_UNAVAILABLE'
  /** The intake refuses it as it did before. */
  | 'STILL_REJECTED'

/** Why the record of a dead letter was not published again; the answer to the order. */
export class ReplayError extends CordonError<ReplayErrorCode> {}

const statuses: Readonly<Record<IngestErrorCode, number>> = {
  UNAUTHENTICATED: 401,
  EMPTY_BODY: 400,
  MALFORMED_BODY: 400,
  TOO_LARGE: 413,
  TOO_MANY_EVENTS: 413,
  UNSUPPORTED_TYPE: 415,
  BAD_REQUEST: 400,
  BUS_REFUSED: 503,
  TOO_BUSY: 503,
}

const titles: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  503: 'Service Unavailable',
}

/** RFC 9457 problem details. */
export interface Problem {
  readonly type: 'about:blank'
  readonly title: string
  readonly status: number
  readonly code: IngestErrorCode
  readonly detail: string
  /** The detail again, for clients of the Open Inference Protocol's error form. */
  readonly error: string
}

/** The collector's own errors, and Fastify's about the request; null for every other. */
export function problemOf(error: unknown): Problem | null {
  const known = error instanceof IngestError ? error : fromFastify(error)
  if (known === null) return null
  const status = statuses[known.code]
  const detail = known.message.slice(0, 1_000)
  return { type: 'about:blank', title: titles[status] ?? 'Error', status, code: known.code, detail, error: detail }
}

function fromFastify(error: unknown): IngestError | null {
  const { statusCode, message } = error as { statusCode?: unknown; message?: unknown }
  const text = typeof message === 'string' ? message : 'the request could not be read'
  if (statusCode === 413) return new IngestError('TOO_LARGE', text)
  if (statusCode === 415) return new IngestError('UNSUPPORTED_TYPE', 'send application/x-ndjson or application/json')
  return typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500 ? new IngestError('BAD_REQUEST', text) : null
}
