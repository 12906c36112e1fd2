import { mulberry32 } from '../../../inference/random.ts'

/** Seeded JSON schemas of what the model can keep to. */
export function randomSchemas(seed: number, count: number): readonly Record<string, unknown>[] {
  const random = mulberry32(seed)
  const whole = (most: number) => Math.floor(random() * (most + 1))
  const pick = <T>(values: readonly [T, ...T[]]): T => values[whole(values.length - 1)] ?? values[0]
  const schema = (depth: number): Record<string, unknown> => {
    const kinds = ['string', 'integer', 'number', 'boolean', 'null', 'enum', 'const'] as const
    const kind: string = depth > 0 ? pick([...kinds, 'object', 'object', 'array', 'anyOf', 'types']) : pick(kinds)
    switch (kind) {
      case 'string':
        return { type: 'string', minLength: whole(4), maxLength: 4 + whole(12) }
      case 'integer':
        return bounded('integer', whole(2_000) - 1_000, whole(300))
      case 'number':
        return bounded('number', (whole(2_000) - 1_000) / 8, whole(300) / 8)
      case 'boolean':
        return { type: 'boolean', description: 'Whether it is so' }
      case 'null':
        return { type: 'null' }
      case 'enum':
        return {
          enum: pick([
            ['left', 'right'],
            [1, 12, 123],
            ['a"b', 'é', null],
            [true, { x: [1] }],
          ]),
        }
      case 'const':
        return { const: pick<unknown>(['fixed', -0.5, { deep: ['\\', '\n'] }, '🙂']) }
      case 'array':
        return { type: 'array', items: schema(depth - 1), minItems: whole(2), maxItems: 2 + whole(2) }
      case 'anyOf':
        return { anyOf: [schema(depth - 1), schema(depth - 1), { type: 'null' }] }
      case 'types':
        return { type: ['string', 'integer', 'null'], minLength: 2, maximum: 12 }
      default:
        return object(depth)
    }
  }
  const bounded = (type: string, low: number, span: number) =>
    pick<Record<string, unknown>>([
      { type, minimum: low, maximum: low + span },
      { type, exclusiveMinimum: low, exclusiveMaximum: low + span + 2 },
      { type, minimum: low },
      { type, maximum: low },
      { type },
    ])
  const object = (depth: number) => {
    const names = ['name', 'quote"d', 'größe', 'last_one'].slice(0, 1 + whole(3))
    const properties = Object.fromEntries(names.map((name) => [name, schema(depth - 1)]))
    return { type: 'object', properties, required: names, additionalProperties: false }
  }
  return Array.from({ length: count }, () => object(3))
}
