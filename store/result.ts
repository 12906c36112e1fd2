import { StoreError } from './errors.ts'

export interface QueryColumn {
  readonly name: string
  /** ClickHouse's name of the type. */
  readonly type: string
}

export interface QueryResult {
  readonly columns: readonly QueryColumn[]
  /**
   * Instants are ISO 8601 in UTC; 64-bit integers are numbers where a number holds them exactly, else
   * strings; NaN and infinities are null.
   */
  readonly rows: readonly Record<string, unknown>[]
  readonly elapsedMs: number
  /** There was more than the limit. */
  readonly truncated: boolean
}

const wide = /^(?:Nullable\(|LowCardinality\()*U?Int(?:64|128|256)\)*$/
const float = /^(?:Nullable\(|LowCardinality\()*Float(?:32|64)\)*$/
const wideList = /^Array\(U?Int(?:64|128|256)\)$/

/**
 * Reads an answer in JSONCompact with 64-bit integers quoted.
 *
 * @param limit most rows returned
 */
export function readResult(text: string, elapsedMs: number, limit: number): QueryResult {
  const { meta, data } = parse(text)
  const readers = meta.map(({ type }) => readerOf(type))
  const rows = data.slice(0, limit).map((values) => {
    const row: Record<string, unknown> = {}
    for (const [index, column] of meta.entries()) {
      const read = readers[index]
      const value = values[index]
      row[column.name] = read === undefined ? value : read(value)
    }
    return row
  })
  return { columns: meta, rows, elapsedMs, truncated: data.length > limit }
}

function parse(text: string): { meta: QueryColumn[]; data: unknown[][] } {
  // What has no rows to give, such as a SHOW of nothing, may come back empty.
  if (text.trim() === '') return { meta: [], data: [] }
  try {
    const { meta, data } = JSON.parse(text) as { meta: QueryColumn[]; data: unknown[][] }
    return { meta: meta.map(({ name, type }) => ({ name, type })), data }
  } catch (error) {
    throw new StoreError('QUERY_FAILED', 'reading an answer of the store: it is no JSON', { cause: error })
  }
}

function readerOf(type: string): ((value: unknown) => unknown) | undefined {
  if (wide.test(type)) return exact
  if (wideList.test(type)) return exactList
  return float.test(type) ? finite : undefined
}

/** NaN and infinities come as strings, since JSON has none; there is no such number to show. */
function finite(value: unknown): unknown {
  return typeof value === 'string' ? null : value
}

function exact(value: unknown): unknown {
  const number = typeof value === 'string' ? Number(value) : value
  return Number.isSafeInteger(number) ? number : value
}

function exactList(value: unknown): unknown {
  return Array.isArray(value) ? value.map(exact) : value
}
