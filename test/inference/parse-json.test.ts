import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'secure-json-parse'
import { parseJson } from '../../inference/parse-json.ts'

test('JSON is read as secure-json-parse reads it, whichever parser is taken', () => {
  const texts = [
    '{"inputs":[{"name":"a","data":[1,2.5,-3e2]}]}',
    '{"text":"a line\\nand \\"another\\", caf\\u00e9"}',
    '{"a":"__proto__","constructor":{"name":1}}',
    '\ufeff{"marked":true}',
    'null',
    '"constructor"',
  ]
  for (const text of texts) assert.deepEqual(parseJson(text), parse(text), text)
})

test('members that reach a prototype are refused, however they are written', () => {
  const texts = [
    '{"__proto__":{"polluted":1}}',
    '{"a":[{"__proto__" : 1}]}',
    '{"constructor":{"prototype":{"polluted":1}}}',
    '{"\\u005f_proto__":1}',
    '{"_\\u005F\\u0070roto__":1}',
    '{"c\\u006fnstructor":{"prototype":1}}',
    '{"text":"\\n","\\u0063onstructor":{"prototype":1}}',
    '\ufeff{"__proto__":1}',
  ]
  for (const text of texts) assert.throws(() => parseJson(text), SyntaxError, text)
})

test('what is not JSON is refused', () => {
  for (const text of ['', '{', '{"a":1}}', "{'a':1}", '{"\\x5f":1}']) assert.throws(() => parseJson(text), SyntaxError, text)
})
