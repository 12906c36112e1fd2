import { readdirSync, readFileSync } from 'node:fs'
import { parse as parseYaml } from 'yaml'
import { z } from 'zod'
import { StoreError } from './errors.ts'

const Scalar = z.union([z.string(), z.number(), z.boolean(), z.null()])

const Parameter = z.strictObject({
  name: z.string().regex(/^[a-z][A-Za-z0-9]*$/),
  /** ClickHouse's type; the engine binds the value, it never becomes part of the text. */
  type: z.enum([
    'String',
    'UInt32',
    'Float64',
    'Bool',
    'UUID',
    "DateTime64(3, 'UTC')",
    'Nullable(String)',
    'Nullable(UUID)',
    "Nullable(DateTime64(3, 'UTC'))",
  ]),
  summary: z.string().min(1),
  /** Absent: it has to be given. */
  default: Scalar.optional(),
  choices: z.array(z.string()).optional(),
})

const Header = z.strictObject({
  name: z.string().regex(/^[a-z][a-z-]*$/),
  summary: z.string().min(1),
  parameters: z.array(Parameter).default([]),
  /** Parameters of a sensible call. */
  example: z.record(z.string(), Scalar).default({}),
})

export type QueryParameter = z.infer<typeof Parameter>

/** A question of the forensic library: `queries/<name>.sql` begins with a comment that says what it is, in YAML. */
export type QueryDefinition = z.infer<typeof Header> & { readonly sql: string }

const folder = new URL('queries/', import.meta.url)
let library: ReadonlyMap<string, QueryDefinition> | undefined

/** Every question of the library, by name. Read from disk once. */
export function listQueries(): QueryDefinition[] {
  library ??= readLibrary()
  return [...library.values()]
}

/** @throws StoreError `UNKNOWN_QUERY` */
export function queryNamed(name: string): QueryDefinition {
  library ??= readLibrary()
  const found = library.get(name)
  if (found === undefined) throw new StoreError('UNKNOWN_QUERY', `there is no query "${name}"; there are ${[...library.keys()].join(', ')}`)
  return found
}

function readLibrary(): ReadonlyMap<string, QueryDefinition> {
  const files = readdirSync(folder).filter((file) => file.endsWith('.sql'))
  return new Map(files.sort().map((file) => [file.slice(0, -4), parseDefinition(file, whole(readFileSync(new URL(file, folder), 'utf8')))]))
}

/** What several questions share stands in `queries/parts/<name>.sql`, and in their text where a line says `-- part: <name>`. */
function whole(text: string): string {
  return text.replace(/^ *-- part: ([a-z-]+)\n/gm, (_, name: string) => readFileSync(new URL(`parts/${name}.sql`, folder), 'utf8'))
}

/**
 * @param file `<name>.sql`
 * @throws StoreError `BAD_DEFINITION`
 */
export function parseDefinition(file: string, text: string): QueryDefinition {
  const bad = (what: string) => new StoreError('BAD_DEFINITION', `reading queries/${file}: ${what}`)
  const comment = /^\/\*\n([^]*?)\n\*\/\n/.exec(text)
  if (comment === null) throw bad('it has to begin with a comment that describes it')
  const header = Header.safeParse(parseYaml(comment[1] ?? ''))
  if (!header.success) throw bad(z.prettifyError(header.error))
  if (`${header.data.name}.sql` !== file) throw bad(`it calls itself ${header.data.name}`)
  const sql = text.slice(comment[0].length).trim()
  const used = new Map([...sql.matchAll(/\{(\w+):([^{}]+)\}/g)].map((match) => [match[1], match[2]]))
  for (const { name, type } of header.data.parameters) {
    if (used.get(name) !== type) throw bad(`parameter ${name} is declared ${type} and used as ${used.get(name) ?? 'nothing'}`)
    used.delete(name)
  }
  if (used.size > 0) throw bad(`${[...used.keys()].join(', ')} is not declared`)
  return { ...header.data, sql }
}

/**
 * The values to bind: what was given, converted from what a command line or a URL can carry, and the defaults.
 * Instants are milliseconds or ISO 8601.
 *
 * @throws StoreError `BAD_PARAMETER`
 */
export function bindParameters(
  query: QueryDefinition,
  given: Readonly<Record<string, unknown>>,
): Record<string, string | number | boolean | null> {
  const known = new Set(query.parameters.map(({ name }) => name))
  for (const name of Object.keys(given)) {
    if (!known.has(name))
      throw new StoreError('BAD_PARAMETER', `${query.name} has no parameter ${name}; it has ${[...known].join(', ') || 'none'}`)
  }
  const bound: Record<string, string | number | boolean | null> = {}
  for (const parameter of query.parameters) bound[parameter.name] = bind(query.name, parameter, given[parameter.name])
  return bound
}

function bind(query: string, parameter: QueryParameter, given: unknown): string | number | boolean | null {
  const value = given ?? parameter.default
  const nullable = /^Nullable\((.*)\)$/.exec(parameter.type)
  const type = nullable?.[1] ?? parameter.type
  if (value === undefined) throw new StoreError('BAD_PARAMETER', `${query} needs ${parameter.name}: ${parameter.summary}`)
  if (nullable !== null && (value === null || value === '')) return null
  const parsed = readers[type]?.safeParse(value)
  if (parsed?.success !== true || (parameter.choices !== undefined && !parameter.choices.includes(String(parsed.data)))) {
    const wanted = parameter.choices?.join(' or ') ?? type
    throw new StoreError('BAD_PARAMETER', `${query}: ${parameter.name} has to be ${wanted} (${parameter.summary})`)
  }
  return parsed.data
}

const earliest = -2_208_988_800_000
const latest = Date.UTC(2299, 11, 31)

/** What the engine parses the same way through every connection: `YYYY-MM-DD hh:mm:ss.mmm`. */
const Moment = z
  .union([z.number(), z.string().max(64)])
  .transform((value) => (typeof value === 'number' || /^\d{6,}$/.test(value) ? Number(value) : Date.parse(value)))
  .refine((at) => at >= earliest && at <= latest)
  .transform((at) => new Date(at).toISOString().replace('T', ' ').replace('Z', ''))

const readers: Readonly<Record<string, z.ZodType<string | number | boolean>>> = {
  String: z.union([z.string().max(1_000), z.number().transform(String)]),
  UInt32: z.coerce.number().int().min(0).max(4_294_967_295),
  Float64: z.coerce.number(),
  Bool: z.union([z.boolean(), z.stringbool()]),
  UUID: z.guid(),
  "DateTime64(3, 'UTC')": Moment,
}
