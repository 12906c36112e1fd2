import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ajv } from 'ajv'
import { json } from '../../../inference/language/grammar.ts'
import { compileSchema } from '../../../inference/language/schema.ts'
import { mulberry32 } from '../../../inference/random.ts'
import { randomSchemas } from './schemas.ts'

/** Writes by taking each way on with the same chance. */
function walk(schema: unknown, random: () => number): string {
  const constraint = json(compileSchema(schema, 'tools'))
  let text = ''
  for (let step = constraint.next(); !step.done; ) {
    const option = step.value[Math.floor(random() * step.value.length)]
    assert.ok(option, `nothing can follow ${text}`)
    assert.match(option.text, /^[ -~]?$/)
    text += option.text
    assert.ok(text.length < 20_000, 'it does not end')
    step = constraint.next(option)
  }
  return text
}

test('whatever is taken, what is written is valid: 400 schemas, five times each', () => {
  const ajv = new Ajv({ strict: false })
  const random = mulberry32(11)
  for (const schema of randomSchemas(7, 400)) {
    const validate = ajv.compile(schema)
    for (let i = 0; i < 5; i++) {
      const text = walk(schema, random)
      assert.ok(validate(JSON.parse(text)), `${text} does not fit ${JSON.stringify(schema)}: ${ajv.errorsText(validate.errors)}`)
    }
  }
})

test('every number between its bounds can be written, and no other', () => {
  const rows: [schema: object, values: number[]][] = [
    [{ type: 'integer', minimum: 8, maximum: 12 }, [8, 9, 10, 11, 12]],
    [{ type: 'integer', minimum: -2, exclusiveMaximum: 2 }, [-2, -1, 0, 1]],
    [{ type: 'integer', minimum: 99, maximum: 101 }, [99, 100, 101]],
    [{ type: 'number', minimum: 0.99, maximum: 1.01 }, [0.99, 1, 1.01]],
    [{ type: 'number', exclusiveMinimum: -0.02, exclusiveMaximum: 0.02 }, [-0.01, 0, 0.01]],
    [{ type: 'number', minimum: 0.29, maximum: 0.29 }, [0.29]],
  ]
  for (const [schema, values] of rows) {
    const random = mulberry32(3)
    const texts = Array.from({ length: 400 }, () => walk(schema, random))
    assert.ok(texts.every((text) => !/^-0(\.0*)?$/.test(text)))
    const found = new Set(texts.map(Number))
    assert.deepEqual(
      [...found].sort((a, b) => a - b),
      values,
    )
  }
})

test('sizes hold: what the schema leaves open is bounded here', () => {
  const random = mulberry32(5)
  const lengths = (schema: object) => Array.from({ length: 300 }, () => JSON.parse(walk(schema, random)).length as number)
  assert.equal(Math.max(...lengths({ type: 'string' })) <= 32, true)
  assert.deepEqual(new Set(lengths({ type: 'array', items: { type: 'null' } })), new Set([0, 1, 2, 3]))
  assert.deepEqual(new Set(lengths({ type: 'array', items: { type: 'null' }, minItems: 5 })), new Set([5]))
  assert.deepEqual(new Set(lengths({ type: 'string', minLength: 40 })), new Set([40]))
})

test('definitions are followed', () => {
  const schema = { $ref: '#/$defs/point', $defs: { point: { type: 'object', properties: { x: { $ref: '#/$defs/x' } } }, x: { const: 1 } } }
  assert.equal(walk(schema, mulberry32(1)), '{"x":1}')
})

test('what cannot be kept is refused, in words that repeat nothing of it', () => {
  const deep = (levels: number): object => (levels === 0 ? { type: 'null' } : { type: 'array', items: deep(levels - 1) })
  const rows: [schema: unknown, message: RegExp][] = [
    [{ type: 'string', pattern: 'secret' }, /keyword that is not supported/],
    [{ oneOf: [{ type: 'null' }] }, /keyword that is not supported/],
    [{ $ref: '#/$defs/secret', $defs: { secret: { $ref: '#/$defs/secret' } } }, /nested deeper than 8, or in itself/],
    [{ $ref: 'https://secret.example/schema' }, /none of its \$defs/],
    [{ $ref: '#/$defs/__proto__', $defs: {} }, /none of its \$defs/],
    [deep(9), /nested deeper/],
    [{ type: 'secret' }, /none of JSON Schema/],
    [false, /nothing fits/],
    [{ type: 'object', required: ['secret'], additionalProperties: false }, /nothing fits/],
    [{ type: 'string', minLength: 3, maxLength: 2 }, /least size above/],
    [{ type: 'string', minLength: 1e9 }, /more than 1024/],
    [{ type: 'string', minLength: -1 }, /no whole number/],
    [{ type: 'integer', minimum: 0.1, maximum: 0.9 }, /no number of 0 decimals/],
    [{ type: 'number', minimum: 1e300 }, /bound beyond/],
    [{ enum: [] }, /nothing fits/],
    [{ enum: ['secret'], type: 'integer' }, /nothing fits/],
    [{ enum: [1, 2], minimum: 2 }, /with other keywords/],
    [{ anyOf: [] }, /among nothing/],
    [{ enum: Array.from({ length: 300 }, (_, i) => i) }, /more than 256/],
    [{ properties: Object.fromEntries(Array.from({ length: 1_001 }, (_, i) => [`p${i}`, {}])) }, /more than 1000/],
  ]
  for (const [schema, message] of rows) {
    assert.throws(
      () => compileSchema(schema, 'tools'),
      (error: Error) => message.test(error.message) && !error.message.includes('secret'),
      JSON.stringify(schema)?.slice(0, 80),
    )
  }
})
