import { CordonError } from '../schemas/index.ts'

export type StoreErrorCode =
  /** The engine could not be started or reached when the store was opened. */
  | 'OPEN_FAILED'
  | 'MIGRATION_FAILED'
  /** A migration that was already applied reads differently now. */
  | 'MIGRATION_CHANGED'
  | 'UNKNOWN_TABLE'
  | 'UNKNOWN_QUERY'
  /** A file of the query library does not say what it has to. */
  | 'BAD_DEFINITION'
  | 'BAD_PARAMETER'
  /** The SQL asks for something that readers may not do. */
  | 'REFUSED_SQL'
  /** The engine could not make sense of the SQL. */
  | 'QUERY_FAILED'
  /** The query ran into a limit: time, memory or size. */
  | 'QUERY_LIMIT'
  /** These rows can never be stored: the engine cannot read them. */
  | 'INSERT_REJECTED'
  /** The insert may be tried again. */
  | 'INSERT_FAILED'
  /** Too many ask at once, or a server does not answer: ask again later. */
  | 'STORE_UNAVAILABLE'
  | 'STORE_CLOSED'

/** What the store's callers see; ClickHouse's own error is the cause. */
export class StoreError extends CordonError<StoreErrorCode> {}

/** ClickHouse's numbers for "this text is not a value of that type" (src/Common/ErrorCodes.cpp). */
const unreadable: ReadonlySet<string> = new Set([
  '6',
  '25',
  '26',
  '27',
  '38',
  '41',
  '53',
  '69',
  '70',
  '72',
  '117',
  '131',
  '321',
  '349',
  '376',
  '407',
])
/** Time, memory, rows, result size, expression depth. */
const limits: ReadonlySet<string> = new Set(['158', '159', '160', '161', '162', '167', '168', '191', '241', '306', '307', '396'])

export function isUnreadable(error: unknown): boolean {
  return unreadable.has(engineCode(error))
}

function isLimit(error: unknown): boolean {
  return limits.has(engineCode(error))
}

/** What a failed read is for whoever asked. */
export function readFailure(error: unknown): StoreErrorCode {
  if (isLimit(error)) return 'QUERY_LIMIT'
  return /^\d+$/.test(engineCode(error)) ? 'QUERY_FAILED' : 'STORE_UNAVAILABLE'
}

/** What no patience mends: a name that is unknown, a certificate that is not trusted, an address that is none. */
const lasting = /^(ENOTFOUND|EPROTO|ERR_(INVALID|TLS|SSL).*|.*CERT.*|.*SIGNATURE.*)$/

/** What a server that could not be opened is: away for now, where it gave no answer of its own, whatever stood in its place. */
export function openFailure(error: unknown, otherwise: StoreErrorCode): StoreErrorCode {
  const code = engineCode(error)
  return /^\d+$/.test(code) || lasting.test(code) ? otherwise : 'STORE_UNAVAILABLE'
}

/** ClickHouse's error number as the client gives it; anything else is no answer of the engine. */
export function engineCode(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' || typeof code === 'number' ? String(code) : ''
}

/** The first line of an engine's message, short enough for a log line and a problem's detail. */
export function engineReason(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return (message.split('\n')[0] ?? '').slice(0, 500)
}
