import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ajv } from 'ajv'
import fc from 'fast-check'
import { fits, newSchemaBudget, strictnessOf } from '../../../inference/server/openai/tool-schema.ts'

const small = fc.integer({ min: -3, max: 3 })
const word = fc.constantFrom('a', 'b', 'ab', '', '👋')
const leaf: fc.Arbitrary<object> = fc.oneof(
  fc.record({ type: fc.constant('string'), minLength: fc.nat(2), maxLength: fc.nat(3) }, { requiredKeys: ['type'] }),
  fc.record({ type: fc.constantFrom('number', 'integer'), minimum: small, exclusiveMaximum: small }, { requiredKeys: ['type'] }),
  fc.record({ type: fc.constant('integer'), multipleOf: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ type: fc.constant(['string', 'null']) }),
  fc.record({ type: fc.constant('boolean') }),
  fc.record({ enum: fc.uniqueArray(fc.oneof(word, small, fc.constant(null)), { minLength: 1, maxLength: 3 }) }),
  fc.record({ const: fc.oneof(word, small, fc.boolean()) }),
)
const { schema } = fc.letrec<{ schema: object; object: object }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 3 },
    leaf,
    fc.record({ type: fc.constant('array'), items: tie('schema'), minItems: fc.nat(1), maxItems: fc.nat(3) }, { requiredKeys: ['type'] }),
    fc.record({ anyOf: fc.array(tie('schema'), { minLength: 1, maxLength: 2 }) }),
    tie('object'),
  ),
  object: fc.dictionary(fc.constantFrom('a', 'b', '__proto__x'), tie('schema'), { maxKeys: 2 }).map(objectOf),
}))

function objectOf(properties: Record<string, unknown>): object {
  return { type: 'object', properties, required: Object.keys(properties), additionalProperties: false }
}

const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 3 },
    word,
    small,
    fc.constantFrom(0.5, null, true, false),
    fc.array(tie('any'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('any'), { maxKeys: 2 }),
  ),
})).any

test('a strict schema means here what it means to Ajv', () => {
  let fitting = 0
  fc.assert(
    fc.property(schema, value, (part, one) => {
      const whole = objectOf({ x: part })
      assert.equal(strictnessOf(whole, newSchemaBudget()), undefined)
      const validate = new Ajv({ strict: false, addUsedSchema: false, validateSchema: false }).compile(whole)
      for (const candidate of [{ x: one }, { x: one, y: 1 }, {}, one]) {
        const here = fits(candidate, whole)
        assert.equal(here, validate(candidate), JSON.stringify({ whole, candidate }))
        if (here) fitting++
      }
    }),
    { seed: 7, numRuns: 300 },
  )
  assert(fitting > 15, `only ${fitting} values fitted`)
})

test('schemas are bounded in depth and number', () => {
  const deep = (levels: number): object => (levels === 0 ? { type: 'null' } : objectOf({ a: deep(levels - 1) }))
  assert.equal(strictnessOf(deep(9), newSchemaBudget()), undefined)
  assert.match(strictnessOf(deep(10), newSchemaBudget()) ?? '', /10 deep/)
  const wide = objectOf(Object.fromEntries(Array.from({ length: 1_500 }, (_, i) => [`p${i}`, { type: 'null' }])))
  const budget = newSchemaBudget()
  assert.equal(strictnessOf(wide, budget), undefined)
  assert.match(strictnessOf(wide, budget) ?? '', /2048 parts/)
})

test('what a schema must have to be strict', () => {
  const rows: readonly (readonly [unknown, RegExp])[] = [
    [undefined, /type object/],
    [{ type: 'string' }, /type object/],
    [{ type: 'object', properties: {} }, /additionalProperties false/],
    [{ ...objectOf({ a: {} }) }, /must have a type/],
    [{ ...objectOf({ a: { type: 'colour' } }) }, /no such type/],
    [{ ...objectOf({ a: { enum: [{}] } }) }, /enum must list/],
    [{ ...objectOf({ a: { const: [] } }) }, /const must be/],
    [{ ...objectOf({ a: { type: 'number', minimum: '1' } }) }, /must be a number/],
    [{ ...objectOf({ a: { anyOf: [] } }) }, /anyOf/],
    [{ ...objectOf({ a: { type: 'string' } }), required: ['a', 'b'] }, /require all/],
    [{ ...objectOf({}), required: 'a' }, /must be a list/],
  ]
  for (const [one, expected] of rows) assert.match(strictnessOf(one, newSchemaBudget()) ?? 'strict', expected)
})
