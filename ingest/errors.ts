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
  | 'INTERNAL'

export class IngestError extends CordonError<IngestErrorCode> {}

const statuses: Readonly<Record<IngestErrorCode, number>> = {
  UNAUTHENTICATED: 401,
  EMPTY_BODY: 400,
  MALFORMED_BODY: 400,
  TOO_LARGE: 413,
  TOO_MANY_EVENTS: 413,
  UNSUPPORTED_TYPE: 415,
  BAD_REQUEST: 400,
  BUS_REFUSED: 503,
  INTERNAL: 500,
}

const titles: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
}

/** RFC 9457 problem details. */
export interface Problem {
  readonly type: 'about:blank'
  readonly title: string
  readonly status: number
  readonly code: IngestErrorCode
  readonly detail: string
}

/** What of an error is for the client. What is not coded is ours, and its words stay in the log. */
export function problemOf(error: unknown): Problem {
  const known = error instanceof IngestError ? error : fromFastify(error)
  const status = statuses[known.code]
  return { type: 'about:blank', title: titles[status] ?? 'Error', status, code: known.code, detail: known.message.slice(0, 1_000) }
}

function fromFastify(error: unknown): IngestError {
  const { statusCode, message } = error as { statusCode?: unknown; message?: unknown }
  const text = typeof message === 'string' ? message : 'the request could not be read'
  if (statusCode === 413) return new IngestError('TOO_LARGE', text)
  if (statusCode === 415) return new IngestError('UNSUPPORTED_TYPE', 'send application/x-ndjson or application/json')
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) return new IngestError('BAD_REQUEST', text)
  return new IngestError('INTERNAL', 'the collector failed; its log says why')
}
