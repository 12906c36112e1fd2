import { isObject } from '../../json-object.ts'

/**
 * The part of JSON Schema that strict tools may use, interpreted. A schema comes from a client and is checked on the
 * path of other clients' requests: nothing is compiled, nothing refers to elsewhere, and there are no patterns, so that
 * checking a value costs at most the schema's size times the value's.
 */
export type ToolSchema = Readonly<Record<string, unknown>>

const maxDepth = 10
/** Schemas within the schemas of one request. */
const maxSchemas = 2_048

const types = new Set(['string', 'number', 'integer', 'boolean', 'object', 'array', 'null'])
const annotations = new Set(['title', 'description', 'default', 'examples', 'format', '$schema', '$comment', 'deprecated'])
const limits = new Set([
  ...['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
  ...['minItems', 'maxItems', 'minLength', 'maxLength'],
])
const structure = new Set(['type', 'enum', 'const', 'anyOf', 'properties', 'required', 'additionalProperties', 'items'])

/** How many schemas may still come. */
export interface SchemaBudget {
  left: number
}

export function newSchemaBudget(): SchemaBudget {
  return { left: maxSchemas }
}

/** @returns what keeps the schema from being strict; undefined where it is */
export function strictnessOf(schema: unknown, budget: SchemaBudget): string | undefined {
  if (!isObject(schema) || schema['type'] !== 'object') return 'the schema must have type object'
  return flawOf(schema, budget, 1)
}

function flawOf(schema: unknown, budget: SchemaBudget, depth: number): string | undefined {
  if (!isObject(schema)) return 'a schema must be an object'
  if (--budget.left < 0) return `the schemas of one request may have ${maxSchemas} parts`
  if (depth > maxDepth) return `schemas may be nested ${maxDepth} deep`
  for (const [keyword, value] of Object.entries(schema)) {
    if (annotations.has(keyword) || structure.has(keyword)) continue
    if (!limits.has(keyword)) return 'strict tools may use type, enum, const, anyOf, properties, items and limits of numbers and lengths'
    if (typeof value !== 'number' || !Number.isFinite(value) || (keyword === 'multipleOf' && value <= 0)) return 'a limit must be a number'
  }
  const { type, anyOf } = schema
  if (type === undefined && anyOf === undefined && !Object.hasOwn(schema, 'enum') && !Object.hasOwn(schema, 'const'))
    return 'each schema must have a type, anyOf, enum or const'
  return flawOfValues(schema) ?? flawOfObject(schema) ?? flawOfParts(schema, budget, depth)
}

function flawOfValues(schema: ToolSchema): string | undefined {
  const { type, enum: allowed, const: only } = schema
  if (type !== undefined) {
    const named = Array.isArray(type) ? type : [type]
    if (named.length === 0 || !named.every((one) => typeof one === 'string' && types.has(one))) return 'there is no such type'
  }
  if (allowed !== undefined && (!Array.isArray(allowed) || allowed.length === 0 || !allowed.every(isScalar)))
    return 'enum must list strings, numbers, booleans or null'
  return only === undefined || isScalar(only) ? undefined : 'const must be a string, a number, a boolean or null'
}

/** Objects say exactly which members they have, and have all of them. */
function flawOfObject(schema: ToolSchema): string | undefined {
  const { type, properties, required, additionalProperties } = schema
  const isOfObjects = type === 'object' || (Array.isArray(type) && type.includes('object')) || properties !== undefined
  if (!isOfObjects) return required === undefined && additionalProperties === undefined ? undefined : 'required needs properties'
  if (additionalProperties !== false) return 'each object must have additionalProperties false'
  if (properties !== undefined && !isObject(properties)) return 'properties must be an object'
  const names = Object.keys(properties ?? {})
  const listed = new Set(Array.isArray(required) ? required : [])
  if (required !== undefined && !Array.isArray(required)) return 'required must be a list'
  if (listed.size !== names.length || !names.every((name) => listed.has(name))) return 'each object must require all of its properties'
  return undefined
}

function flawOfParts({ properties, items, anyOf }: ToolSchema, budget: SchemaBudget, depth: number): string | undefined {
  if (anyOf !== undefined && (!Array.isArray(anyOf) || anyOf.length === 0)) return 'anyOf must list schemas'
  const parts = [...Object.values(properties ?? {}), ...(items === undefined ? [] : [items]), ...(Array.isArray(anyOf) ? anyOf : [])]
  for (const part of parts) {
    const flaw = flawOf(part, budget, depth + 1)
    if (flaw !== undefined) return flaw
  }
  return undefined
}

function isScalar(value: unknown): boolean {
  return value === null || ['string', 'number', 'boolean'].includes(typeof value)
}

/** Whether a value, as JSON has it, fits a schema that {@link strictnessOf} found nothing wrong with. */
export function fits(value: unknown, schema: unknown): boolean {
  if (!isObject(schema)) return false
  const { type, enum: allowed, const: only, anyOf } = schema
  if (type !== undefined && !(Array.isArray(type) ? type : [type]).some((one) => isOfType(value, one))) return false
  if (Array.isArray(allowed) && !allowed.includes(value)) return false
  if (only !== undefined && only !== value) return false
  if (Array.isArray(anyOf) && !anyOf.some((part) => fits(value, part))) return false
  if (typeof value === 'number') return fitsNumber(value, schema)
  if (typeof value === 'string') return within(lengthOf(value), schema['minLength'], schema['maxLength'])
  if (Array.isArray(value)) {
    const { items, minItems, maxItems } = schema
    return within(value.length, minItems, maxItems) && (items === undefined || value.every((one) => fits(one, items)))
  }
  return !isObject(value) || fitsMembers(value, schema)
}

function isOfType(value: unknown, type: unknown): boolean {
  if (type === 'null') return value === null
  if (type === 'integer') return Number.isInteger(value)
  if (type === 'array') return Array.isArray(value)
  return type === 'object' ? isObject(value) : typeof value === type
}

function fitsNumber(value: number, schema: ToolSchema): boolean {
  const { exclusiveMinimum, exclusiveMaximum, multipleOf } = schema
  if (!within(value, schema['minimum'], schema['maximum'])) return false
  if (typeof exclusiveMinimum === 'number' && value <= exclusiveMinimum) return false
  if (typeof exclusiveMaximum === 'number' && value >= exclusiveMaximum) return false
  return typeof multipleOf !== 'number' || Number.isInteger(value / multipleOf)
}

function within(value: number, least: unknown, most: unknown): boolean {
  return !(typeof least === 'number' && value < least) && !(typeof most === 'number' && value > most)
}

/** In code points, as JSON Schema counts. */
function lengthOf(text: string): number {
  let length = 0
  for (const _ of text) length++
  return length
}

function fitsMembers(value: Readonly<Record<string, unknown>>, { properties, required, additionalProperties }: ToolSchema): boolean {
  const known = isObject(properties) ? properties : {}
  if (Array.isArray(required) && !required.every((name) => typeof name === 'string' && Object.hasOwn(value, name))) return false
  for (const [name, member] of Object.entries(value)) {
    if (Object.hasOwn(known, name)) {
      if (!fits(member, known[name])) return false
    } else if (additionalProperties === false) return false
  }
  return true
}
