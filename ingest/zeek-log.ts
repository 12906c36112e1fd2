/** One entry of a Zeek log; unset fields are absent. Nested JSON and lists stay as they came. */
export interface ZeekEntry {
  /** Of the input, from 1. */
  readonly line: number
  readonly fields: ReadonlyMap<string, string>
}

/** A line that is no entry. */
export interface Rejected {
  readonly kind: 'rejected'
  readonly line: number
  readonly code: 'NO_HEADER' | 'BAD_HEADER' | 'FIELD_COUNT' | 'MALFORMED_JSON' | 'TOO_LONG' | 'INVALID_DATA'
  readonly reason: string
  /** The beginning of the line. */
  readonly text: string
}

interface Layout {
  separator: string
  unset: string
  empty: string
  fields: readonly string[] | null
}

const maxLine = 64 * 1_024
const maxFields = 256

/**
 * Reads a Zeek log, in its own tab-separated form (whose header may come again, as in files that were joined) or as
 * JSON lines, even mixed. What cannot be read is yielded as a {@link Rejected}, never thrown.
 */
export async function* readZeekLog(lines: AsyncIterable<string>): AsyncGenerator<ZeekEntry | Rejected> {
  const layout: Layout = { separator: '\t', unset: '-', empty: '(empty)', fields: null }
  let line = 0
  for await (const raw of lines) {
    line++
    const text = raw.endsWith('\r') ? raw.slice(0, -1) : raw
    if (text === '') continue
    const result = text.startsWith('#') ? readHeader(text, layout) : readLine(text, layout)
    if (result === undefined) continue
    if (result instanceof Map) yield { line, fields: result }
    else yield { kind: 'rejected', line, ...result, text: text.slice(0, 200) }
  }
}

type Problem = Pick<Rejected, 'code' | 'reason'>

function readLine(text: string, layout: Layout): Map<string, string> | Problem {
  if (text.length > maxLine) return { code: 'TOO_LONG', reason: `${text.length} characters, at most ${maxLine}` }
  return text.startsWith('{') ? readJson(text) : readValues(text, layout)
}

function readHeader(text: string, layout: Layout): Problem | undefined {
  // The separator's own line is the one that is parted by a space.
  const separator = /^#separator (.+)$/.exec(text)?.[1]
  if (separator !== undefined) {
    layout.separator = unescape(separator)
    layout.fields = null
    return layout.separator === '' ? { code: 'BAD_HEADER', reason: 'the separator is empty' } : undefined
  }
  const [name, ...values] = text.slice(1).split(layout.separator)
  if (name === 'unset_field') layout.unset = values[0] ?? '-'
  if (name === 'empty_field') layout.empty = values[0] ?? '(empty)'
  if (name === 'fields') {
    if (values.length === 0 || values.length > maxFields)
      return { code: 'BAD_HEADER', reason: `${values.length} fields, 1 to ${maxFields} are read` }
    layout.fields = values
  }
  return undefined
}

function readValues(text: string, { separator, unset, empty, fields }: Layout): Map<string, string> | Problem {
  if (fields === null) return { code: 'NO_HEADER', reason: 'no #fields line came before it, and it is no JSON object' }
  const values = text.split(separator)
  if (values.length !== fields.length) return { code: 'FIELD_COUNT', reason: `${values.length} values for ${fields.length} fields` }
  const entry = new Map<string, string>()
  for (const [index, value] of values.entries()) {
    if (value === unset) continue
    entry.set(fields[index] ?? '', value === empty ? '' : unescape(value))
  }
  return entry
}

function readJson(text: string): Map<string, string> | Problem {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return { code: 'MALFORMED_JSON', reason: 'it begins as JSON does and is none' }
  }
  const entry = new Map<string, string>()
  for (const [name, value] of Object.entries(parsed as Record<string, unknown>)) {
    if (value === null) continue
    entry.set(name, typeof value === 'string' ? value : typeof value === 'object' ? JSON.stringify(value) : String(value))
  }
  return entry
}

/** Zeek writes what would break its lines (separators, control characters, and a value that reads like "unset") as \xHH. */
function unescape(value: string): string {
  if (!value.includes('\\')) return value
  return value.replaceAll(/\\x([0-9a-fA-F]{2})|\\\\/g, (match, hex: string | undefined) =>
    match === '\\\\' ? '\\' : String.fromCharCode(Number.parseInt(hex ?? '', 16)),
  )
}
