import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mapJson, mapStrings, mapText } from '../../../inference/redaction/map-json.ts'

const shout = (text: string) => text.replaceAll('ann', 'ANN')

test('names, strings and numbers of JSON are rewritten, and where nothing changes the text stays as it was written', () => {
  const rows: readonly (readonly [string, string])[] = [
    ['{ "a" : [1, "b"] }', '{ "a" : [1, "b"] }'],
    ['{ "ann" : ["a\\u006en", {"b": "ann"}] }', '{"ANN":["ANN",{"b":"ANN"}]}'],
    ['"ann"', '"ANN"'],
    ['ann {', 'ANN {'],
    // The last of two counts here, the first elsewhere: both are looked at.
    ['{"a":"ann","a":"b"}', '{"a":"ANN","a":"b"}'],
    [`${'['.repeat(100)}"ann"${']'.repeat(100)}`, `${'['.repeat(100)}"ANN"${']'.repeat(100)}`],
    ['{"__proto__":"ann"}', '{"__proto__":"ANN"}'],
  ]
  for (const [text, expected] of rows) assert.equal(mapJson(text, shout), expected)
  const digits = (text: string) => text.replace(/\d{7,}/, 'many')
  assert.equal(mapJson('{"n":4.111111111111111e15,"m":123456}', digits), '{"n":"many","m":123456}')
})

test('only what begins as an object or a list is taken for JSON in a text', () => {
  assert.equal(
    mapText('4111111111111111', () => '[CARD]'),
    '[CARD]',
  )
  assert.equal(mapText(' {"a":"ann"}', shout), '{"a":"ANN"}')
  assert.equal(mapText('[ann] {', shout), '[ANN] {')
})

test('of an object that is no text, strings change and numbers stay', () => {
  const object = { a: 4111111111111111, b: ['ann', { ann: null }] }
  assert.deepEqual(mapStrings(object, shout), { a: 4111111111111111, b: ['ANN', { ANN: null }] })
  assert.equal(
    mapStrings(object, (text) => text),
    object,
  )
})
