import { Document, isMap, isScalar, isSeq } from 'yaml'
import { z } from 'zod'

export interface Words {
  /** Said above the part, where its schema says nothing. */
  readonly about?: string
  /** Lines of YAML, below the key, that a reader may put in force. */
  readonly off?: string
  /** The collection below the key whose lines they are; default the key's own. */
  readonly at?: readonly string[]
}

/**
 * One part of a configuration file: the settings, above each what its schema says of it, and behind them others that are off.
 *
 * @param schema of the setting `key`
 */
export function commented(key: string, value: unknown, schema: z.ZodType, { about, off = '', at = [] }: Words = {}): string {
  const document = new Document({ [key]: value })
  const contents: unknown = document.contents
  if (isMap(contents)) {
    describe(contents, z.object({ [key]: schema }))
    const [first] = contents.items
    if (about !== undefined && isScalar(first?.key)) first.key.commentBefore = ` ${about}`
    const own: unknown = document.getIn([key, ...at])
    if (off !== '' && (isMap(own) || isSeq(own))) own.comment = off
  }
  return document.toString({ lineWidth: 0 })
}

/** A part that is off as a whole; a line that begins with `# ` is said about it. */
export function switchedOff(lines: string): string {
  return lines
    .split('\n')
    .map((line) => (line.startsWith('# ') ? line : `#${line}`))
    .join('\n')
    .concat('\n')
}

/** Writes what the schema says of each setting above its key. */
function describe(node: unknown, schema: z.ZodType): void {
  const inner = unwrapped(schema)
  if (isSeq(node) && inner instanceof z.ZodArray) for (const item of node.items) describe(item, inner.element as z.ZodType)
  if (!isMap(node)) return
  for (const { key, value } of node.items) {
    if (!isScalar(key)) continue
    const child = childOf(inner, String(key.value))
    if (child === undefined) continue
    const said = descriptionOf(child)
    if (said !== undefined) key.commentBefore = ` ${said}`
    describe(value, child)
  }
}

function childOf(schema: z.ZodType, name: string): z.ZodType | undefined {
  if (schema instanceof z.ZodObject) return schema.shape[name] as z.ZodType | undefined
  return schema instanceof z.ZodRecord ? (schema.valueType as z.ZodType) : undefined
}

/** Of the schema, or of what it wraps. */
function descriptionOf(schema: z.ZodType): string | undefined {
  return schema.description ?? (isWrapper(schema) ? descriptionOf(schema.unwrap() as z.ZodType) : undefined)
}

function unwrapped(schema: z.ZodType): z.ZodType {
  return isWrapper(schema) ? unwrapped(schema.unwrap() as z.ZodType) : schema
}

function isWrapper(schema: z.ZodType) {
  return (
    schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodNullable || schema instanceof z.ZodOptional
  )
}
