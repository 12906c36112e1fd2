import { existsSync, readFileSync } from 'node:fs'
import { type Document, isMap, isScalar, LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'
import { CliError } from '../errors.ts'
import { Config } from './schema.ts'

export type Source = 'default' | 'file' | 'environment' | 'flag'

export interface LoadedConfig {
  readonly config: Config
  /** Where each leaf's value came from, by dotted path; what is absent is a default. */
  readonly sources: ReadonlyMap<string, { readonly source: Source; readonly detail: string }>
  readonly file: string | null
}

export interface LoadOptions {
  /** A file that must exist; without it `cordon.config.yaml` is read where it is present. */
  readonly file?: string | undefined
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Dotted path to value, already of the right type. */
  readonly flags: ReadonlyMap<string, unknown>
}

type Tree = Record<string, unknown>

/**
 * Reads the configuration: file, environment over it, flags over both.
 *
 * @throws CliError `CONFIG_UNREADABLE` or `CONFIG_INVALID`, naming file, line and path
 */
export function loadConfig(options: LoadOptions): LoadedConfig {
  const file = options.file ?? (existsSync('cordon.config.yaml') ? 'cordon.config.yaml' : null)
  const sources = new Map<string, { source: Source; detail: string }>()
  const parsed = file === null ? null : readYaml(file)
  const tree: Tree = parsed?.tree ?? {}
  for (const path of leaves(tree)) sources.set(path, { source: 'file', detail: `${file}:${parsed?.lineOf(path) ?? '?'}` })
  for (const [path, schema] of settings()) {
    const name = environmentName(path)
    const text = options.environment[name]
    if (text === undefined || text === '') continue
    set(tree, path, fromText(text, schema))
    sources.set(path, { source: 'environment', detail: name })
  }
  for (const [path, value] of options.flags) {
    set(tree, path, value)
    sources.set(path, { source: 'flag', detail: `--${path}` })
  }
  const result = Config.safeParse(tree)
  if (result.success) return { config: result.data, sources, file }
  throw new CliError('CONFIG_INVALID', explain(result.error, sources, file, parsed?.lineOf), { cause: result.error })
}

/** A setting's environment variable: `inference.maxItems` is CORDON_INFERENCE_MAX_ITEMS. */
export function environmentName(path: string): string {
  return `CORDON_${path
    .replaceAll(/[A-Z]/g, (c) => `_${c}`)
    .replaceAll('.', '_')
    .toUpperCase()}`
}

/** Every setting's contract by dotted path, in the schema's order. */
export function settings(): ReadonlyMap<string, z.ZodType> {
  const found = new Map<string, z.ZodType>()
  const walk = (schema: z.ZodType, prefix: string) => {
    const inner = unwrap(schema)
    if (inner instanceof z.ZodObject) {
      for (const [name, child] of Object.entries(inner.shape)) walk(child as z.ZodType, prefix === '' ? name : `${prefix}.${name}`)
    } else found.set(prefix, schema)
  }
  walk(Config, '')
  return found
}

function unwrap(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) return unwrap(schema.unwrap() as z.ZodType)
  return schema
}

function readYaml(file: string): { tree: Tree; lineOf: (path: string) => number | undefined } {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new CliError('CONFIG_UNREADABLE', `reading the configuration ${file}: ${(cause as Error).message}`, { cause })
  }
  const counter = new LineCounter()
  const document = parseDocument(text, { lineCounter: counter, uniqueKeys: true, maxAliasCount: 10 } as object)
  const error = document.errors[0]
  if (error !== undefined)
    throw new CliError('CONFIG_INVALID', `${file}:${error.linePos?.[0].line ?? 1}: ${error.message.split('\n')[0]}`, { cause: error })
  const tree: unknown = document.toJS({ maxAliasCount: 10 })
  if (tree !== null && (typeof tree !== 'object' || Array.isArray(tree))) {
    throw new CliError('CONFIG_INVALID', `${file}:1: the configuration must be a mapping of settings`)
  }
  return { tree: (tree ?? {}) as Tree, lineOf: (path) => lineOf(document, counter, path) }
}

/** The line of a path's key, or of the nearest parent that is written in the file. */
function lineOf(document: Document, counter: LineCounter, path: string): number | undefined {
  const parts = path === '' ? [] : path.split('.')
  for (let depth = parts.length; depth > 0; depth--) {
    const parent: unknown = depth === 1 ? document.contents : document.getIn(parts.slice(0, depth - 1), true)
    const name = parts[depth - 1]
    if (!isMap(parent)) continue
    const pair = parent.items.find((item) => isScalar(item.key) && String(item.key.value) === name)
    if (pair !== undefined && isScalar(pair.key) && pair.key.range) return counter.linePos(pair.key.range[0]).line
  }
  return undefined
}

function explain(
  error: z.ZodError,
  sources: LoadedConfig['sources'],
  file: string | null,
  lineOf: ((path: string) => number | undefined) | undefined,
): string {
  const lines = error.issues.flatMap((issue) => {
    const path = issue.path.join('.')
    const places = issue.code === 'unrecognized_keys' ? issue.keys.map((key) => (path === '' ? key : `${path}.${key}`)) : [path]
    return places.map((place) => {
      const from = sources.get(place)
      const line = lineOf?.(place)
      const where = from && from.source !== 'file' ? from.detail : file === null ? 'configuration' : `${file}:${line ?? 1}`
      return `${where}: ${place}: ${issue.code === 'unrecognized_keys' ? 'no such setting' : issue.message}`
    })
  })
  return `${lines.join('\n')}\n(cordon config --show lists every setting)`
}

function leaves(tree: Tree, prefix = ''): string[] {
  return Object.entries(tree).flatMap(([name, value]) => {
    const path = prefix === '' ? name : `${prefix}.${name}`
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? leaves(value as Tree, path) : [path]
  })
}

function set(tree: Tree, path: string, value: unknown): void {
  const parts = path.split('.')
  const last = parts.pop() ?? path
  let at = tree
  for (const part of parts) {
    const next = at[part]
    if (typeof next === 'object' && next !== null && !Array.isArray(next)) at = next as Tree
    else at = at[part] = {} as Tree
  }
  at[last] = value
}

/** A variable's text: itself where the setting takes text, else JSON (numbers, true, lists). */
function fromText(text: string, schema: z.ZodType): unknown {
  if (schema.safeParse(text).success) return text
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
