import type { ClickHouseClient } from '@clickhouse/client'
import { StoreError } from './errors.ts'
import type { Token } from './sql-text.ts'
import { readSql } from './sql-text.ts'

/** Names that may not be used, as this engine has them. All lower case. */
export interface Forbidden {
  readonly functions: ReadonlySet<string>
  /** Other databases of the server. */
  readonly databases: ReadonlySet<string>
}

/** Table functions that compute from their arguments alone. Every other one that the engine has is refused, new ones too. */
const harmlessTableFunctions: ReadonlySet<string> = new Set([
  'numbers',
  'numbers_mt',
  'zeros',
  'zeros_mt',
  'values',
  'generateseries',
  'generate_series',
  'null',
  'view',
  'format',
])

/** Of the tables that describe the server, those without queries of others, settings, users or credentials. */
const harmlessSystemTables: ReadonlySet<string> = new Set(['one', 'numbers', 'columns', 'parts'])

/** Function families (system.functions) that reach files, models, services or the process. */
const reachingCategories = ['AI', 'Introspection', 'Dictionary', 'Embedded Dictionary', 'Machine Learning', 'Internal']

/** Functions of harmless families that read files, connect somewhere, tell secrets, or hold a thread. */
const reachingFunctions = [
  'file',
  'hasColumnInTable',
  'joinGet',
  'joinGetOrNull',
  'catboostEvaluate',
  'evalMLMethod',
  'showCertificate',
  'getMacro',
  'getClientHTTPHeader',
  'getServerSetting',
  'getServerPort',
  'tcpPort',
  'sleep',
  'sleepEachRow',
  'filesystemAvailable',
  'filesystemCapacity',
  'filesystemUnreserved',
  'generateSerialID',
  'logTrace',
  'zookeeperSessionUptime',
  'eval',
  'url',
  's3',
  'remote',
  'executable',
  'mysql',
  'postgresql',
]

/** Statements that only look. */
const statements: ReadonlySet<string> = new Set(['select', 'with', 'show', 'describe', 'desc', 'explain'])
const showable: ReadonlySet<string> = new Set(['tables', 'columns', 'create', 'indexes', 'indices', 'index'])
const explainable: ReadonlySet<string> = new Set([
  'select',
  'with',
  'ast',
  'syntax',
  'query',
  'plan',
  'pipeline',
  'estimate',
  'header',
  'description',
  'indexes',
  'actions',
])
/** Words that write, leave the limits, or choose where the answer goes. As a column they can be quoted. */
const refusedWords: ReadonlySet<string> = new Set([
  'insert',
  'into',
  'outfile',
  'infile',
  'settings',
  'format',
  'create',
  'alter',
  'drop',
  'truncate',
  'attach',
  'detach',
  'grant',
  'revoke',
  'system',
  'kill',
  'optimize',
  'rename',
  'exchange',
  'use',
  'set',
  'backup',
  'restore',
  'delete',
  'update',
  'execute',
])

const refused = (what: string) => new StoreError('REFUSED_SQL', `reading with SQL: ${what}`)

/** Asks the engine what it can do, so that a newer engine's new doors are closed too. */
export async function loadForbidden(client: ClickHouseClient, database: string): Promise<Forbidden> {
  const rows = async (query: string) => {
    const result = await client.query({ query, format: 'JSONEachRow' })
    return (await result.json<{ name: string }>()).map((row) => row.name.toLowerCase())
  }
  const categories = reachingCategories.map((category) => `'${category}'`).join(', ')
  const reaching = `hasAny(splitByString(', ', categories), [${categories}])`
  const functions = await rows(`SELECT name FROM system.functions WHERE ${reaching} OR origin != 'System'`)
  const tableFunctions = await rows('SELECT name FROM system.table_functions')
  const databases = await rows('SELECT name FROM system.databases')
  return {
    functions: new Set([
      ...functions,
      ...reachingFunctions.map((name) => name.toLowerCase()),
      ...tableFunctions.filter((name) => !harmlessTableFunctions.has(name)),
    ]),
    databases: new Set(databases.filter((name) => name !== database.toLowerCase())),
  }
}

/**
 * Lets through what only reads our own tables, and returns the text to run. This is the first of two walls; the
 * engine's own read-only mode is the second, and alone it is not enough: it lets `INTO OUTFILE` write and `file('…')`
 * as a value read.
 *
 * @throws StoreError `REFUSED_SQL`, saying what and why
 */
export function guardSql(text: string, forbidden: Forbidden): string {
  const { statement, tokens } = readSql(text)
  const first = lower(tokens[0])
  const second = lower(tokens[1])
  if (!statements.has(first)) throw refused('start with SELECT, WITH, SHOW, DESCRIBE or EXPLAIN')
  if (first === 'show' && !showable.has(second)) throw refused('SHOW TABLES, COLUMNS, INDEX and CREATE are what there is')
  if (first === 'explain' && !explainable.has(second)) throw refused('EXPLAIN what kind of plan of a SELECT?')
  for (const [index, token] of tokens.entries()) {
    if (token.kind !== 'word' && token.kind !== 'quoted') continue
    const after = tokens[index + 1]?.text
    refuseWord(token, index === 1 && first === 'show', after === '.' || after === '(')
    refuseName(token, forbidden)
    refuseDatabase(token, tokens, index, forbidden, first === 'show' || first.startsWith('desc'))
  }
  return statement
}

function refuseWord(token: Token, shown: boolean, named: boolean): void {
  const name = lower(token)
  if (token.kind !== 'word' || !refusedWords.has(name)) return
  if (shown && name === 'create') return
  // `system.columns` and the function `format(…)` are names here, and are judged as names.
  if (named && (name === 'system' || name === 'format')) return
  throw refused(`${token.text.toUpperCase()} is not for readers; a column of that name can be quoted`)
}

function refuseName(token: Token, forbidden: Forbidden): void {
  // Anywhere, not only before a bracket: APPLY takes a function by its bare name.
  if (forbidden.functions.has(lower(token))) throw refused(`${token.text} reaches outside the store's tables`)
}

function refuseDatabase(token: Token, tokens: readonly Token[], index: number, forbidden: Forbidden, anywhere: boolean): void {
  const name = lower(token)
  if (!forbidden.databases.has(name)) return
  const qualifies = tokens[index + 1]?.text === '.' && tokens[index - 1]?.text !== '.'
  if (!qualifies && !anywhere) return
  if (name === 'system' && harmlessSystemTables.has(lower(tokens[index + 2]))) return
  throw refused(`${token.text} is another database; of system there are ${[...harmlessSystemTables].join(', ')}`)
}

function lower(token: Token | undefined): string {
  return token === undefined || token.kind === 'string' ? '' : token.text.toLowerCase()
}
