import { RequestError } from './refused.ts'

/** What a JSON value must be, as far as it can be written character by character; every part of it is bounded. */
export type Shape =
  | { readonly kind: 'text'; readonly least: number; readonly most: number }
  | { readonly kind: 'number'; readonly decimals: number; readonly least: number; readonly most: number }
  | { readonly kind: 'literals'; readonly texts: readonly string[] }
  | { readonly kind: 'list'; readonly items: Shape; readonly least: number; readonly most: number }
  | { readonly kind: 'object'; readonly members: readonly (readonly [name: string, shape: Shape])[] }
  | { readonly kind: 'either'; readonly shapes: readonly Shape[] }

const limits = { depth: 8, shapes: 1_000, length: 1_024, items: 64, literals: 256, bound: 1e12 }
/** Where the schema leaves it open. */
const usual = { length: 32, items: 3, span: 1_000, decimals: 2 }

const annotations = ['title', 'description', 'default', 'examples', '$schema', '$id', '$comment', 'deprecated', 'readOnly', 'writeOnly']
const definitions = ['$defs', 'definitions']
const keywords: Readonly<Record<string, readonly string[]>> = {
  object: ['properties', 'required', 'additionalProperties'],
  array: ['items', 'minItems', 'maxItems'],
  string: ['minLength', 'maxLength'],
  number: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'],
}
const supported = new Set([
  ...annotations,
  ...definitions,
  ...Object.values(keywords).flat(),
  ...['type', 'enum', 'const', 'anyOf', '$ref'],
])

/** Of `response_format: {type: 'json_object'}`, which says nothing of what the object holds. */
export const anyObject: Shape = { kind: 'object', members: [['answer', { kind: 'text', least: 1, most: 64 }]] }

/**
 * @param param the field of the request that holds the schema
 * @throws RequestError for what cannot be kept, such as `pattern`, and for a schema that nothing fits
 */
export function compileSchema(schema: unknown, param: string): Shape {
  return new Compiler(schema, param).compile(schema, 0)
}

/** JSON in printable ASCII: what is not is escaped. */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(/[^ -~]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

type Fields = Readonly<Record<string, unknown>>

class Compiler {
  readonly #root: unknown
  readonly #param: string
  #shapes = 0

  constructor(root: unknown, param: string) {
    this.#root = root
    this.#param = param
  }

  compile(schema: unknown, depth: number): Shape {
    if (++this.#shapes > limits.shapes) throw this.#refuse(`has more than ${limits.shapes} parts`)
    if (depth > limits.depth) throw this.#refuse(`is nested deeper than ${limits.depth}, or in itself`)
    if (schema === true) return { kind: 'text', least: 0, most: usual.length }
    if (!isFields(schema)) throw this.#refuse('holds something that is no schema, or that nothing fits')
    this.#check(schema)
    if (schema['$ref'] !== undefined) return this.compile(this.#resolve(this.#alone(schema, '$ref')), depth + 1)
    if (schema['const'] !== undefined) return this.#literals(schema, [this.#alone(schema, 'const')])
    if (schema['enum'] !== undefined) return this.#literals(schema, this.#alone(schema, 'enum'))
    if (schema['anyOf'] !== undefined) return this.#either(this.#alone(schema, 'anyOf'), depth)
    const { type } = schema
    if (Array.isArray(type))
      return this.#either(
        type.map((one: unknown) => ({ ...schema, type: one })),
        depth,
      )
    return this.#typed(schema, type ?? inferred(schema), depth)
  }

  #typed(schema: Fields, type: unknown, depth: number): Shape {
    switch (type) {
      case 'object':
        return this.#object(schema, depth)
      case 'array':
        return this.#list(schema, depth)
      case 'string':
        return { kind: 'text', ...this.#size(schema, 'minLength', 'maxLength', limits.length, usual.length) }
      case 'integer':
        return this.#number(schema, 0)
      case 'number':
        return this.#number(schema, usual.decimals)
      case 'boolean':
        return { kind: 'literals', texts: ['true', 'false'] }
      case 'null':
        return { kind: 'literals', texts: ['null'] }
      default:
        throw this.#refuse('has a type that is none of JSON Schema')
    }
  }

  #object(schema: Fields, depth: number): Shape {
    const { properties = {}, required = [], additionalProperties } = schema
    if (!isFields(properties)) throw this.#refuse('has properties that are no object')
    if (!Array.isArray(required)) throw this.#refuse('has a list of required properties that is none')
    const members: [string, unknown][] = Object.entries(properties)
    for (const name of new Set<unknown>(required)) {
      if (typeof name !== 'string') throw this.#refuse('requires a property whose name is no text')
      if (!Object.hasOwn(properties, name)) members.push([name, additionalProperties ?? true])
    }
    return { kind: 'object', members: members.map(([name, member]) => [name, this.compile(member, depth + 1)]) }
  }

  #list(schema: Fields, depth: number): Shape {
    return {
      kind: 'list',
      items: this.compile(schema['items'] ?? true, depth + 1),
      ...this.#size(schema, 'minItems', 'maxItems', limits.items, usual.items),
    }
  }

  #either(schemas: unknown, depth: number): Shape {
    if (!Array.isArray(schemas) || schemas.length === 0) throw this.#refuse('has a choice among nothing')
    const shapes = schemas.map((schema: unknown) => this.compile(schema, depth + 1))
    return shapes.length === 1 && shapes[0] ? shapes[0] : { kind: 'either', shapes }
  }

  #literals(schema: Fields, values: unknown): Shape {
    if (!Array.isArray(values)) throw this.#refuse('has an enum that is no list')
    const types: readonly unknown[] = schema['type'] === undefined ? [] : [schema['type']].flat()
    const fitting = values.filter((value: unknown) => types.length === 0 || types.some((type) => isOfType(value, type)))
    const texts = [...new Set(fitting.map(asciiJson))]
    if (texts.length === 0) throw this.#refuse('has an enum that nothing fits')
    if (texts.length > limits.literals) throw this.#refuse(`has more than ${limits.literals} values in an enum`)
    return { kind: 'literals', texts }
  }

  #size(schema: Fields, least: string, most: string, limit: number, preferred: number): { least: number; most: number } {
    const low = this.#count(schema, least) ?? 0
    const high = this.#count(schema, most) ?? Infinity
    if (low > high) throw this.#refuse('has a least size above its most')
    if (low > limit) throw this.#refuse(`wants more than ${limit} characters or items`)
    return { least: low, most: Math.min(high, Math.max(low, preferred)) }
  }

  #count(schema: Fields, keyword: string): number | undefined {
    const value = schema[keyword]
    if (value === undefined) return undefined
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0) throw this.#refuse('has a size that is no whole number')
    return value
  }

  /** Bounds in units of the last decimal, so that both are whole numbers. */
  #number(schema: Fields, decimals: number): Shape {
    const scale = 10 ** decimals
    const [least, above] = [this.#bound(schema, 'minimum'), this.#bound(schema, 'exclusiveMinimum')]
    const [most, below] = [this.#bound(schema, 'maximum'), this.#bound(schema, 'exclusiveMaximum')]
    const low = Math.max(ceilTo(least ?? -Infinity, scale), floorTo(above ?? -Infinity, scale) + 1)
    const high = Math.min(floorTo(most ?? Infinity, scale), ceilTo(below ?? Infinity, scale) - 1)
    const from = low > -Infinity ? low : Math.min(0, high - usual.span * scale)
    const until = Math.min(high, Math.max(from, 0) + usual.span * scale)
    if (from > until) throw this.#refuse(`has bounds between which there is no number of ${decimals} decimals`)
    return { kind: 'number', decimals, least: from, most: until }
  }

  #bound(schema: Fields, keyword: string): number | undefined {
    const value = schema[keyword]
    if (value === undefined) return undefined
    if (typeof value !== 'number' || !(Math.abs(value) <= limits.bound)) throw this.#refuse(`has a bound beyond ${limits.bound}`)
    return value
  }

  /** A definition of the same schema; nothing is looked up elsewhere. */
  #resolve(reference: unknown): unknown {
    const found = typeof reference === 'string' ? /^#\/(\$defs|definitions)\/([^/~%]{1,128})$/.exec(reference) : null
    const definition = field(field(this.#root, found?.[1] ?? ''), found?.[2] ?? '')
    if (definition === undefined) throw this.#refuse('refers to something that is none of its $defs')
    return definition
  }

  #check(schema: Fields): void {
    if (Object.keys(schema).every((keyword) => supported.has(keyword))) return
    throw this.#refuse(`uses a keyword that is not supported; these are: ${[...supported].join(', ')}`)
  }

  /** The value of a keyword that no other but annotations and, for enum and const, the type stands beside. */
  #alone(schema: Fields, keyword: string): unknown {
    const beside = keyword === 'enum' || keyword === 'const' ? ['type'] : []
    const free = new Set([...annotations, ...definitions, ...beside, keyword])
    if (!Object.keys(schema).every((one) => free.has(one))) throw this.#refuse('joins enum, const, anyOf or $ref with other keywords')
    return schema[keyword]
  }

  #refuse(what: string): RequestError {
    return new RequestError(this.#param, `The JSON schema ${what}.`)
  }
}

/** The type that the keywords of a schema without one speak of. */
function inferred(schema: Fields): string {
  const type = Object.keys(keywords).find((type) => keywords[type]?.some((keyword) => schema[keyword] !== undefined))
  return type ?? 'string'
}

function isOfType(value: unknown, type: unknown): boolean {
  if (type === 'null') return value === null
  if (type === 'array') return Array.isArray(value)
  if (type === 'integer') return Number.isInteger(value)
  if (type === 'object') return isFields(value)
  return typeof value === type
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function field(value: unknown, name: string): unknown {
  return isFields(value) && Object.hasOwn(value, name) ? value[name] : undefined
}

// A bound such as 0.29 is not whole after scaling, 28.999999999999996, though its text is: what is that near is meant.
function ceilTo(value: number, scale: number): number {
  return nearest(value * scale, Math.ceil)
}

function floorTo(value: number, scale: number): number {
  return nearest(value * scale, Math.floor)
}

function nearest(scaled: number, otherwise: (value: number) => number): number {
  const round = Math.round(scaled)
  return Math.abs(scaled - round) <= Math.abs(scaled) * 1e-15 * 4 ? round : otherwise(scaled)
}
