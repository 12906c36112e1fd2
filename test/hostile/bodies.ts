import { secrets } from './orders.ts'
import type { Random } from './random.ts'

const [marker = ''] = secrets
const zeros = new Array(784).fill(0)

/** Values that have no business where they are put. */
const oddities: readonly string[] = [
  ...['null', 'true', '-1', '0', '1e999', '-1e999', '1e-999', '9007199254740993', '18446744073709551616', '0.1e1', '-0', '""', '[]', '{}'],
  ...['"\\ud800"', '"\\u0000"', '"__proto__"', '[[[[]]]]', '{"a":{"a":{"a":{}}}}', '"\u202e\ufeff"', `"${'a'.repeat(3_000)}"`],
  ...['NaN', 'Infinity', "'x'", '01', '1.', '.5', '+1', '0x10', '[1,]', '{"a":1,}', '"\n"', 'undefined', '//', `"${marker}"`],
]

/** Whatever may stand at a place in JSON. */
function odd(random: Random): string {
  const depth = random.below(40)
  if (depth === 0) return `${'['.repeat(5_000)}${']'.repeat(5_000)}`
  if (depth === 1) return `${'{"a":'.repeat(3_000)}1${'}'.repeat(3_000)}`
  if (depth === 2) return '['.repeat(20_000)
  return random.pick(oddities)
}

function object(fields: Readonly<Record<string, string>>): string {
  return `{${Object.entries(fields)
    .map(([name, value]) => `${JSON.stringify(name)}:${value}`)
    .join(',')}}`
}

/** An object with one thing wrong: a value, a key, a key twice, one that every object has, or one more. */
function spoilt(random: Random, fields: Readonly<Record<string, string>>): string {
  const names = Object.keys(fields)
  const name = random.pick(names)
  const way = random.below(8)
  if (way < 3) return object({ ...fields, [name]: odd(random) })
  if (way === 3) return object({ ...fields, [random.pick([`${name} `, name.toUpperCase(), `${name}\u0000`, `${name}s`])]: odd(random) })
  if (way === 4) return `${object(fields).slice(0, -1)},${JSON.stringify(name)}:${odd(random)}}`
  if (way === 5) return `{"__proto__":{"admin":true},${object(fields).slice(1)}`
  if (way === 6) return `{"constructor":{"prototype":{"x":1}},${object(fields).slice(1)}`
  const text = object(fields)
  return text.slice(0, random.below(text.length))
}

const tensor = (random: Random, items = 1) => ({
  name: '"image"',
  datatype: '"FP32"',
  shape: `[${items},28,28,1]`,
  data: JSON.stringify(items === 1 ? zeros : Array.from({ length: items * 784 }, () => random.below(2))),
})

export const ordinaryInfer = JSON.stringify({ inputs: [{ name: 'image', datatype: 'FP32', shape: [1, 28, 28, 1], data: zeros }] })

export function inferBody(random: Random): string {
  const way = random.below(16)
  if (way === 0 || way > 11) return ordinaryInfer
  if (way === 1) return object({ inputs: `[${object(tensor(random, 1 + random.below(3)))}]` })
  if (way === 2) return object({ inputs: `[${Array.from({ length: random.below(40) }, () => object(tensor(random))).join(',')}]` })
  if (way < 6) return object({ inputs: `[${spoilt(random, { ...tensor(random), parameters: '{}' })}]`, id: `"${marker}"` })
  if (way === 6)
    return object({
      inputs: `[${object(tensor(random))}]`,
      outputs: `[${spoilt(random, { name: '"probabilities"', parameters: '{"binary_data":true}' })}]`,
    })
  if (way === 7) return object({ inputs: `[${object({ ...tensor(random), shape: random.pick(shapes), data: random.pick(data) })}]` })
  if (way === 8) return odd(random)
  return spoilt(random, { inputs: `[${object(tensor(random))}]`, id: `"${marker}"`, parameters: '{"priority":1}', outputs: '[]' })
}

const shapes = ['[-1,28,28,1]', '[0,28,28,1]', '[1e9,28,28,1]', '[9007199254740991,9007199254740991]', '[]', '[1,28,28]', '[1.5,28,28,1]']
const data = ['[]', '[[]]', `[${'[],'.repeat(500)}[]]`, '[1e400]', '"AAAA"', `[${'null,'.repeat(783)}null]`, `[${'2,'.repeat(783)}2]`]

/** Binary tensors that say of themselves what is not so. */
export function binaryInfer(random: Random): { readonly body: Buffer; readonly jsonBytes: string } {
  const bytes = random.pick([3_136, 0, 1, 3_135, 3_137, 6_272])
  const said = random.pick(['3136', '3136', '0', '-1', '1e99', '"3136"', '999999999', '9007199254740993', 'null'])
  const header = object({
    name: '"image"',
    datatype: random.pick(['"FP32"', '"FP32"', '"FP16"', '"BYTES"', '"INT64"']),
    shape: '[1,28,28,1]',
  })
  const json = `{"inputs":[${header.slice(0, -1)},"parameters":{"binary_data_size":${said}}}],"parameters":{"binary_data_output":true}}`
  const tail = random.chance(0.5) ? Buffer.alloc(bytes) : random.bytes(bytes)
  const length = String(json.length)
  const jsonBytes = random.chance(0.6)
    ? length
    : random.pick(['0', '-1', '1', '999999', '1e2', ' 5', '0x10', `${length}${length}`, '9'.repeat(30), 'NaN'])
  return { body: Buffer.concat([Buffer.from(json), tail]), jsonBytes }
}

/** A tool's schema that is deep, wide, or refers to itself. */
function tools(random: Random): string {
  const schemas = [
    '{"$ref":"#"}',
    '{"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}},"$ref":"#/$defs/a"}',
    `${'{"anyOf":['.repeat(60)}{}${']}'.repeat(60)}`,
    `{"type":"object","properties":{${Array.from({ length: 300 }, (_, i) => `"p${i}":{"type":"string"}`).join(',')}}}`,
    '{"type":"string","pattern":"^(a+)+$"}',
    '{"type":"string","pattern":"("}',
    `{"enum":[${'"x",'.repeat(5_000)}"x"]}`,
    '{"$ref":"http://127.0.0.1:1/schema"}',
    `{"type":"object","properties":${'{"a":{"properties":'.repeat(200)}{}${'}}'.repeat(200)}}`,
    odd(random),
  ]
  const name = random.pick(['"f"', '"__proto__"', '""', `"${'f'.repeat(100)}"`, '"f g"', '1'])
  return `[{"type":"function","function":{"name":${name},"strict":true,"parameters":${random.pick(schemas)}}}]`
}

export function chatBody(random: Random): string {
  const message = { role: random.pick(['"user"', '"system"', '"assistant"', '"tool"', '"root"']), content: `"${marker}"` }
  const fields = {
    model: random.pick(['"parrot"', '"parrot"', '"parrot"', '"digits"', '"none"', '"__proto__"', '""']),
    messages: `[${object(message)}]`,
    stream: random.pick(['true', 'false', '"true"', 'null']),
    max_tokens: random.pick(['5', '0', '-1', '1e9', '1.5', '"5"']),
    temperature: random.pick(['1', '0', '2', '3', '-1', '"hot"']),
  }
  const way = random.below(14)
  if (way < 2 || way > 9)
    return object({ model: '"parrot"', messages: '[{"role":"user","content":"hello"}]', stream: way % 2 === 0 ? 'true' : 'false' })
  if (way === 2) return object(fields)
  if (way === 3)
    return object({
      ...fields,
      tools: tools(random),
      tool_choice: random.pick(['"auto"', '"required"', '{"type":"function"}', odd(random)]),
    })
  if (way === 4) return object({ ...fields, messages: `[${spoilt(random, { ...message, name: '"x"', tool_calls: '[]' })}]` })
  if (way === 5) return object({ ...fields, messages: `[${`${object(message)},`.repeat(random.below(600))}${object(message)}]` })
  if (way === 6) return object({ ...fields, prompt: odd(random), input: odd(random) })
  if (way === 7)
    return object({
      ...fields,
      ...{
        n: random.pick(['1', '128', '1e9', '-1']),
        logprobs: odd(random),
        top_logprobs: odd(random),
        stop: odd(random),
        logit_bias: odd(random),
      },
      ...{ response_format: `{"type":"json_schema","json_schema":{"name":"x","schema":${odd(random)}}}`, stream_options: odd(random) },
    })
  if (way === 8) return odd(random)
  return spoilt(random, fields)
}
