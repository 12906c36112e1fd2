/** What a command prints on standard output: a table for people, NDJSON for machines. */
export interface Output {
  /** A list: one JSON object a line, or a table of the columns. */
  list(rows: readonly object[], columns: readonly Column[], empty: string): void
  /** One object: one JSON line, or the given text. */
  one(value: object, text: string): void
}

export interface Column {
  readonly title: string
  readonly of: (row: never) => unknown
}

export function openOutput(json: boolean, write: (line: string) => void): Output {
  if (json) {
    return {
      list: (rows) => {
        for (const row of rows) write(JSON.stringify(row))
      },
      one: (value) => write(JSON.stringify(value)),
    }
  }
  return {
    list: (rows, columns, empty) => (rows.length === 0 ? write(empty) : write(table(rows, columns))),
    one: (_value, text) => write(text),
  }
}

export function table(rows: readonly object[], columns: readonly Column[]): string {
  const cells = [columns.map((column) => column.title), ...rows.map((row) => columns.map((column) => cell(column.of(row as never))))]
  const widths = columns.map((_, i) => Math.min(60, Math.max(...cells.map((line) => line[i]?.length ?? 0))))
  return cells
    .map((line) =>
      line
        .map((text, i) => (i === line.length - 1 ? text : text.padEnd(widths[i] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** Text for a terminal: control characters that an outsider may have put into a name are shown, not obeyed. */
export function cell(value: unknown): string {
  if (value === null || value === undefined) return '–'
  const text =
    typeof value === 'string' ? value : typeof value === 'number' || typeof value === 'boolean' ? String(value) : JSON.stringify(value)
  return Array.from(text, (c) => (unprintable(c.codePointAt(0) ?? 0) ? `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}` : c)).join('')
}

/** Controls, and what turns the writing around (Unicode's bidirectional marks, embeddings and isolates). */
function unprintable(code: number): boolean {
  const control = code < 0x20 || (code >= 0x7f && code < 0xa0) || code === 0x2028 || code === 0x2029
  const mark = code === 0x061c || code === 0x200e || code === 0x200f
  return control || mark || (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069)
}

/** `2026-11-21 09:00:00.123` in UTC. */
export function when(instant: number | null): string {
  return instant === null ? '–' : new Date(instant).toISOString().replace('T', ' ').replace('Z', '')
}

/** Milliseconds as people say them. */
export function span(ms: number | null): string {
  if (ms === null) return '–'
  if (ms < 1_000) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`
  if (ms < 120_000) return `${(ms / 1_000).toFixed(1)} s`
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`
  return `${(ms / 3_600_000).toFixed(1)} h`
}
