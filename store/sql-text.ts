import { StoreError } from './errors.ts'

export interface Token {
  readonly kind: 'word' | 'quoted' | 'string' | 'number' | 'symbol'
  /** As written; of a quoted identifier, what is between the quotes. */
  readonly text: string
}

export interface SqlText {
  /** What was checked is what runs: the statement without comments and without its closing semicolon. */
  readonly statement: string
  readonly tokens: readonly Token[]
}

const refused = (what: string) => new StoreError('REFUSED_SQL', `reading with SQL: ${what}`)

/**
 * One alternative a kind of token. Narrower than ClickHouse's own lexer on purpose: what is not recognised here
 * (heredocs, unicode quotes, backslashes in identifiers, parameters) is refused, so that both can only agree.
 */
const token =
  /(?<space>\s+|--[^\n]*|\/\*[^]*?\*\/)|(?<word>[A-Za-z_][A-Za-z0-9_]*)|(?<number>\d[\w.]*)|(?<string>'(?:[^'\\]|\\[^]|'')*')|(?<quoted>`[^`\\]*`|"[^"\\]*")|(?<symbol>->|::|<=>|<>|[<>=!]=|\|\||[()[\],.;:+\-*/%<>=?@])/y

/**
 * Splits SQL into tokens.
 *
 * @throws StoreError `REFUSED_SQL` for more than one statement, and for what it does not know
 */
export function readSql(text: string): SqlText {
  if (text.length > 64 * 1_024) throw refused('the text is longer than 64 KiB')
  const tokens: Token[] = []
  let statement = ''
  token.lastIndex = 0
  while (token.lastIndex < text.length) {
    const at = token.lastIndex
    const groups = token.exec(text)?.groups
    if (groups === undefined)
      throw refused(`${describe(text, at)} is not understood; comments are -- and /* */, strings are in single quotes`)
    const piece = text.slice(at, token.lastIndex)
    if (groups.space === undefined) statement += piece
    else if (!statement.endsWith(' ')) statement += ' '
    const found = tokenOf(groups)
    if (found !== undefined) tokens.push(found)
  }
  return { statement: withoutEnd(statement, tokens), tokens: tokens.filter((one) => one.text !== ';') }
}

function tokenOf(groups: Record<string, string | undefined>): Token | undefined {
  const { word, number, string, quoted, symbol } = groups
  if (word !== undefined) return { kind: 'word', text: word }
  if (quoted !== undefined) return { kind: 'quoted', text: quoted.slice(1, -1) }
  if (string !== undefined) return { kind: 'string', text: string }
  if (number !== undefined) return { kind: 'number', text: number }
  return symbol === undefined ? undefined : { kind: 'symbol', text: symbol }
}

function withoutEnd(statement: string, tokens: readonly Token[]): string {
  const ends = tokens.filter((one) => one.kind === 'symbol' && one.text === ';').length
  if (ends === 0) return statement.trim()
  const trimmed = statement.trim()
  if (ends > 1 || !trimmed.endsWith(';')) throw refused('write one statement')
  return trimmed.slice(0, -1).trim()
}

function describe(text: string, at: number): string {
  return `"${text.slice(at, at + 12).replaceAll(/\s+/g, ' ')}" at character ${at + 1}`
}
