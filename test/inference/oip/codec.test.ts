import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { decodeAnswer, decodeRequest, encodeAnswer, encodeRequest } from '../../../inference/oip/codec.ts'
import { OipError, type OipErrorCode } from '../../../inference/oip/errors.ts'
import { fromHalf, toHalf } from '../../../inference/oip/half.ts'
import type { Datatype, RawInference, Tensor, TensorData } from '../../../inference/port.ts'

const limits = { maxTensors: 4, maxBytes: 65_536 }
const run = { seed: 7, numRuns: 200 }

/** What values of each datatype survive, JSON's own ones where they are fewer. */
const values: Record<Datatype, (json: boolean) => fc.Arbitrary<unknown>> = {
  BOOL: () => fc.constantFrom(0, 1),
  UINT8: () => fc.integer({ min: 0, max: 255 }),
  UINT16: () => fc.integer({ min: 0, max: 65_535 }),
  UINT32: () => fc.integer({ min: 0, max: 4_294_967_295 }),
  UINT64: (json) => fc.bigInt({ min: 0n, max: json ? BigInt(Number.MAX_SAFE_INTEGER) : 2n ** 64n - 1n }),
  INT8: () => fc.integer({ min: -128, max: 127 }),
  INT16: () => fc.integer({ min: -32_768, max: 32_767 }),
  INT32: () => fc.integer({ min: -2_147_483_648, max: 2_147_483_647 }),
  INT64: (json) => fc.bigInt(json ? { min: -(2n ** 53n - 1n), max: 2n ** 53n - 1n } : { min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  FP16: () => fc.integer({ min: 0, max: 0x7bff }).map(fromHalf),
  FP32: () => fc.float({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
  FP64: () => fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
  BYTES: (json) =>
    json ? fc.string({ unit: 'grapheme' }).map((text) => Buffer.from(text)) : fc.uint8Array({ maxLength: 20 }).map(Buffer.from),
}
const datatypes = Object.keys(values) as Datatype[]

function dataOf(datatype: Datatype, list: readonly unknown[]): TensorData {
  const numbers = list as number[]
  const longs = list as bigint[]
  const made: Record<Datatype, () => TensorData> = {
    BOOL: () => Uint8Array.from(numbers),
    UINT8: () => Uint8Array.from(numbers),
    UINT16: () => Uint16Array.from(numbers),
    UINT32: () => Uint32Array.from(numbers),
    UINT64: () => BigUint64Array.from(longs),
    INT8: () => Int8Array.from(numbers),
    INT16: () => Int16Array.from(numbers),
    INT32: () => Int32Array.from(numbers),
    INT64: () => BigInt64Array.from(longs),
    FP16: () => Float32Array.from(numbers),
    FP32: () => Float32Array.from(numbers),
    FP64: () => Float64Array.from(numbers),
    BYTES: () => list as Uint8Array[],
  }
  return made[datatype]()
}

const tensorOf = (name: string, json: boolean): fc.Arbitrary<Tensor> =>
  fc.tuple(fc.constantFrom(...datatypes), fc.array(fc.nat({ max: 4 }), { maxLength: 4 })).chain(([datatype, shape]) => {
    const size = shape.reduce((product, length) => product * length, 1)
    const list = fc.array(values[datatype](json), { minLength: size, maxLength: size })
    return list.map((made) => ({ name, datatype, shape, data: dataOf(datatype, made) }))
  })

/** −0 is 0 in JSON, and a Buffer a Uint8Array. */
function plain({ data, ...rest }: Tensor): object {
  return { ...rest, data: Array.from<unknown>(data).map((value) => (value instanceof Uint8Array ? [...value] : value === 0 ? 0 : value)) }
}

const message = fc
  .tuple(fc.boolean(), fc.boolean(), fc.boolean())
  .chain((json) => fc.tuple(fc.constant(json), ...json.map((one, index) => tensorOf(`t${index}`, one))))

test('an answer is read as it was written, in JSON and in binary, whatever the datatypes and shapes', () => {
  fc.assert(
    fc.property(message, ([json, ...tensors]) => {
      const answer = { id: 'a', modelName: 'm', modelVersion: '1', parameters: { k: 1 } }
      const raw = encodeAnswer({ ...answer, tensors }, (name) => json[Number(name.slice(1))] === false)
      const read = decodeAnswer(raw, limits)
      assert.deepEqual({ ...read, tensors: read.tensors.map(plain) }, { ...answer, tensors: tensors.map(plain) })
    }),
    run,
  )
})

test('so is a request, wherever its bytes lie in memory', () => {
  fc.assert(
    fc.property(message, fc.nat({ max: 8 }), ([json, ...inputs], offset) => {
      const outputs = [{ name: 'o', binary: true, classes: 3, parameters: { note: 'n' } }]
      const about = { id: null, modelName: 'm', parameters: {}, outputs, binary: false }
      const request = {
        ...about,
        inputs: inputs.map((input, index) => (index === 0 ? { ...input, parameters: { content_type: 'np' } } : input)),
      }
      const raw = encodeRequest(request, (name) => json[Number(name.slice(1))] === false)
      const moved = new Uint8Array(raw.body.length + offset)
      moved.set(raw.body, offset)
      const read = decodeRequest({ body: moved.subarray(offset), jsonBytes: raw.jsonBytes }, limits)
      assert.deepEqual({ ...read, inputs: read.inputs.map(plain) }, { ...request, inputs: request.inputs.map(plain) })
    }),
    run,
  )
})

test('aligned binary data is a view, and costs no memory', () => {
  const json = Buffer.from('{"inputs":[{"name":"x","shape":[2],"datatype":"FP32","parameters":{"binary_data_size":8}}]}')
  const padded = Buffer.from(json.toString().padEnd(Math.ceil(json.length / 4) * 4))
  const body = new Uint8Array(padded.length + 8)
  body.set(padded)
  const { inputs } = decodeRequest({ body, jsonBytes: padded.length }, limits)
  assert.equal(floatsOf(inputs[0]).buffer, body.buffer)
})

test('halves are the nearest ones, ties to even', () => {
  const rows: [number, number][] = [
    [1, 0x3c00],
    [-2, 0xc000],
    [65_504, 0x7bff],
    [65_519.9, 0x7bff],
    [65_520, 0x7c00],
    [2 ** -24, 1],
    // Half of the least is a tie: to zero. One and a half of it: to two.
    [2 ** -25, 0],
    [1.5 * 2 ** -24, 2],
    // 1 + 2⁻¹¹ lies between 1 and 1 + 2⁻¹⁰; 1 + 3·2⁻¹¹ goes up.
    [1 + 2 ** -11, 0x3c00],
    [1 + 3 * 2 ** -11, 0x3c02],
    [Number.POSITIVE_INFINITY, 0x7c00],
  ]
  for (const [value, bits] of rows) assert.equal(toHalf(value), bits, String(value))
  for (let bits = 0; bits < 0x7c00; bits++) assert.equal(toHalf(fromHalf(bits)), bits)
  assert.ok(Number.isNaN(fromHalf(toHalf(Number.NaN))))
})

const tensor = { name: 'x', shape: [2], datatype: 'INT32', data: [1, 2] }
const binary = (size: unknown, more: object = {}) => ({
  name: 'x',
  shape: [2],
  datatype: 'INT32',
  parameters: { binary_data_size: size },
  ...more,
})
const of = (...inputs: unknown[]) => JSON.stringify({ inputs })

/** What is sent, bytes after the JSON where there are any, and what is said of it. */
const refusals: readonly (readonly [string, OipErrorCode, RegExp, Uint8Array?])[] = [
  ['', 'MALFORMED', /^body: not JSON$/],
  ['{"inputs":[', 'MALFORMED', /not JSON/],
  ['{"inputs":[],"__proto__":{}}', 'MALFORMED', /not JSON/],
  ['[]', 'FIELD_INVALID', /^body/],
  ['null', 'FIELD_INVALID', /^body/],
  ['{}', 'FIELD_INVALID', /^inputs/],
  [JSON.stringify({ inputs: [tensor], secret_field: 1 }), 'FIELD_INVALID', /^body: id, parameters, inputs and outputs, and nothing else$/],
  [of({ ...tensor, secret: 1 }), 'FIELD_INVALID', /^inputs.0: name, shape, datatype, parameters and data, and nothing else$/],
  [
    JSON.stringify({ inputs: [tensor], outputs: [{ name: 'o', secret: 1 }] }),
    'FIELD_INVALID',
    /^outputs.0: name and parameters, and nothing else$/,
  ],
  [of(...Array.from({ length: 5 }, () => tensor)), 'TOO_LARGE', /^inputs: at most 4$/],
  [of({ ...tensor, shape: [-1] }), 'FIELD_INVALID', /^inputs\.0\.shape\.0/],
  [of({ ...tensor, shape: [1.5] }), 'FIELD_INVALID', /shape/],
  [of({ ...tensor, shape: Array.from({ length: 17 }, () => 1) }), 'FIELD_INVALID', /shape/],
  [of({ ...tensor, datatype: 'BF16' }), 'DATATYPE_UNSUPPORTED', /^inputs\[0\]\.datatype/],
  [of({ ...tensor, datatype: 'toString' }), 'DATATYPE_UNSUPPORTED', /datatype/],
  [of({ ...tensor, data: undefined }), 'FIELD_INVALID', /expected an array, or binary_data_size/],
  [of({ ...tensor, data: 'x' }), 'FIELD_INVALID', /expected an array/],
  [of({ ...tensor, data: [1] }), 'SIZE_MISMATCH', /the shape says 2 values/],
  [of({ ...tensor, data: [1, 2, 3] }), 'SIZE_MISMATCH', /the shape says 2 values/],
  [of({ ...tensor, shape: [9_007_199_254_740_991], data: [[1]] }), 'TOO_LARGE', /more values than one message may hold/],
  [of({ ...tensor, shape: [4_000, 2], data: [[1, 2]] }), 'SIZE_MISMATCH', /the shape says 8000 values/],
  [of({ ...tensor, shape: [2, 2], data: [[1, 2], [1]] }), 'SIZE_MISMATCH', /the shape says 2 in dimension 1/],
  [of({ ...tensor, shape: [2, 2], data: [[1, 2], 3] }), 'SIZE_MISMATCH', /expected an array in dimension 0/],
  [of({ ...tensor, shape: [2, 1], data: [1, [2]] }), 'VALUE_INVALID', /value 1/],
  [of({ ...tensor, data: [1, 2.5] }), 'VALUE_INVALID', /value 1 is not an integer/],
  [of({ ...tensor, data: [1, 2_147_483_648] }), 'VALUE_INVALID', /value 1 is not a number from -2147483648 to 2147483647/],
  [of({ ...tensor, data: [1, '2'] }), 'VALUE_INVALID', /value 1/],
  [of({ ...tensor, data: [1, true] }), 'VALUE_INVALID', /value 1/],
  [of({ ...tensor, datatype: 'BOOL', data: [true, 2] }), 'VALUE_INVALID', /value 1/],
  [of({ ...tensor, datatype: 'BOOL', data: [true, 0.5] }), 'VALUE_INVALID', /not an integer/],
  ['{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1e39]}]}', 'VALUE_INVALID', /value 0/],
  ['{"inputs":[{"name":"x","shape":[1],"datatype":"FP64","data":[1e999]}]}', 'VALUE_INVALID', /value 0/],
  ['{"inputs":[{"name":"x","shape":[1],"datatype":"INT64","data":[9007199254740993]}]}', 'VALUE_INVALID', /beyond 2\^53.*send binary data/],
  ['{"inputs":[{"name":"x","shape":[1],"datatype":"UINT64","data":[-1]}]}', 'VALUE_INVALID', /value 0/],
  ['{"inputs":[{"name":"x","shape":[1],"datatype":"BYTES","data":["\\ud800"]}]}', 'VALUE_INVALID', /not Unicode/],
  [of({ ...tensor, datatype: 'BYTES' }), 'VALUE_INVALID', /not a string/],
  [of(binary(8)), 'SIZE_MISMATCH', /goes beyond the body/],
  [of(binary(8)), 'SIZE_MISMATCH', /goes beyond the body/, new Uint8Array(7)],
  [of(binary(8)), 'SIZE_MISMATCH', /1 bytes belong to none/, new Uint8Array(9)],
  [of(binary(4)), 'SIZE_MISMATCH', /the shape says 8 bytes/, new Uint8Array(4)],
  [of(binary(8), binary(8)), 'SIZE_MISMATCH', /inputs\[1\]: binary_data_size goes beyond/, new Uint8Array(8)],
  [of(binary(-8)), 'FIELD_INVALID', /expected a number of bytes/, new Uint8Array(8)],
  [of(binary(1e300)), 'FIELD_INVALID', /expected a number of bytes/, new Uint8Array(8)],
  [of(binary('8')), 'FIELD_INVALID', /expected a number of bytes/, new Uint8Array(8)],
  [of(binary(8, { data: [1, 2] })), 'FIELD_INVALID', /where one is enough/, new Uint8Array(8)],
  [of(binary(8, { parameters: { shared_memory_region: 'r' } })), 'FIELD_INVALID', /shared memory is not offered/],
  [of(binary(2, { datatype: 'BOOL' })), 'VALUE_INVALID', /value 1/, Uint8Array.of(1, 2)],
  [of(binary(8, { datatype: 'FP32' })), 'VALUE_INVALID', /value 1/, new Uint8Array(Float32Array.of(1, Number.NaN).buffer)],
  [of(binary(4, { datatype: 'FP16' })), 'VALUE_INVALID', /value 1/, Uint8Array.of(0, 0, 0, 0x7c)],
  [of(binary(4, { datatype: 'BYTES' })), 'SIZE_MISMATCH', /the bytes are fewer/, new Uint8Array(4)],
  [of(binary(8, { datatype: 'BYTES' })), 'SIZE_MISMATCH', /value 1 goes beyond/, Uint8Array.of(0, 0, 0, 0, 1, 0, 0, 0)],
  [of(binary(8, { datatype: 'BYTES' })), 'SIZE_MISMATCH', /value 0 goes beyond/, Uint8Array.of(255, 255, 255, 255, 0, 0, 0, 0)],
  [of(binary(9, { datatype: 'BYTES' })), 'SIZE_MISMATCH', /bytes are left over/, new Uint8Array(9)],
  [JSON.stringify({ inputs: [tensor], outputs: [{ name: 'o', parameters: { classification: -1 } }] }), 'FIELD_INVALID', /classification/],
  [JSON.stringify({ inputs: [tensor], outputs: [{ name: 'o', parameters: { binary_data: 1 } }] }), 'FIELD_INVALID', /binary_data/],
  [JSON.stringify({ inputs: [tensor], parameters: { binary_data_output: 'yes' } }), 'FIELD_INVALID', /binary_data_output/],
]

test('what does not fit is refused, and said where', () => {
  for (const [json, code, message, bytes] of refusals) {
    const raw = assembled(json, bytes)
    assert.throws(() => decodeRequest(raw, limits), { name: 'OipError', code, message }, json)
  }
  const latin = Buffer.from('{"inputs":[{"name":"é"}]}', 'latin1')
  assert.throws(() => decodeRequest({ body: latin, jsonBytes: null }, limits), { code: 'MALFORMED', message: /UTF-8/ })
  assert.throws(() => decodeRequest({ body: Buffer.from(of(tensor)), jsonBytes: 1_000 }, limits), { code: 'MALFORMED' })
})

test('what clients of Triton and KServe send besides is tolerated', () => {
  const about = {
    id: '7',
    model_name: 'm',
    parameters: { sequence_id: 3, priority: 1, timeout: 1_000, binary_data_output: true, mine: 'x' },
  }
  const json = JSON.stringify({ ...about, inputs: [{ ...tensor, datatype: 'BOOL', data: [true, 0], parameters: { content_type: 'np' } }] })
  const { id, inputs, binary, outputs } = decodeRequest(assembled(json), limits)
  assert.deepEqual([id, Array.from<unknown>(inputs[0]?.data ?? []), binary, outputs], ['7', [1, 0], true, []])
})

test('an upstream may leave out what it does not know, and answer with what is no number', () => {
  const outputs = [{ name: 'x', shape: [1], datatype: 'FP32', parameters: { binary_data_size: 4 } }]
  const raw = assembled(
    JSON.stringify({ model_name: 'm', model_version: null, id: null, parameters: null, more: 1, outputs }),
    Uint8Array.of(0, 0, 128, 255),
  )
  const { tensors, modelVersion, id } = decodeAnswer(raw, limits)
  assert.deepEqual([[...floatsOf(tensors[0])], modelVersion, id], [[Number.NEGATIVE_INFINITY], null, null])
})

test('whatever comes, the codec answers with one of its own errors', () => {
  const json = fc.json({ maxDepth: 4 })
  const near = fc.record({
    name: fc.string(),
    shape: fc.anything(),
    datatype: fc.constantFrom(...datatypes),
    data: fc.anything(),
    parameters: fc.anything(),
  })
  const body = fc.oneof(
    json,
    near.map(of),
    fc.array(near).map((all) => of(...all)),
    fc.string({ unit: 'binary' }),
  )
  fc.assert(
    fc.property(body, fc.uint8Array({ maxLength: 16 }), (text, bytes) => {
      for (const read of [decodeRequest, decodeAnswer]) {
        try {
          read(assembled(text.replace('"inputs"', read === decodeRequest ? '"inputs"' : '"outputs"'), bytes), limits)
        } catch (error) {
          if (!(error instanceof OipError)) throw error
        }
      }
    }),
    { ...run, numRuns: 1_000 },
  )
})

function floatsOf(tensor: Tensor | undefined): Float32Array {
  assert.ok(tensor?.data instanceof Float32Array)
  return tensor.data
}

function assembled(json: string, bytes?: Uint8Array): RawInference {
  const head = Buffer.from(json)
  return bytes === undefined ? { body: head, jsonBytes: null } : { body: Buffer.concat([head, bytes]), jsonBytes: head.length }
}

test('a name that comes twice is refused, wherever it stands: other servers would read the first', () => {
  const open = (text: string) => decodeRequest({ body: Buffer.from(text), jsonBytes: null }, limits)
  const input = (more: string) => `{"name":"a","datatype":"BYTES","shape":[1],${more}}`
  const rows = [
    `{"inputs":[${input('"data":["x"]')}],"inputs":[${input('"data":["y"]')}]}`,
    `{"inputs":[${input('"data":["x"],"data":["y"]')}]}`,
    `{"inputs":[${input('"data":["x"],"d\\u0061ta":["y"]')}]}`,
    `{"inputs":[${input('"parameters":{"p":1,"p":2},"data":["a:b"]')}]}`,
    `{"inputs":[${input('"data":["x"]')}],"parameters":{"shared_memory_region":"r"},"parameters":{}}`,
  ]
  for (const row of rows)
    assert.throws(() => open(row), { code: 'MALFORMED', message: 'body: a name comes twice in an object, or data holds objects' }, row)
  // Colons within texts, and quotes, are no names.
  const plain = input(`"data":[${JSON.stringify('http://x "a":1 \\')}],"parameters":{"a:b":{"c":[{"d":1}]}}`)
  assert.equal(open(`{"id":"x:y","inputs":[${plain}]}`).inputs.length, 1)
})

test('what is nested too deep to be looked through is refused', () => {
  const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`
  const body = (depth: number) =>
    Buffer.from(`{"inputs":[{"name":"a","datatype":"BOOL","shape":[1],"data":[true]}],"parameters":{"p":${nested(depth)}}}`)
  assert.equal(decodeRequest({ body: body(40), jsonBytes: null }, limits).inputs.length, 1)
  for (const depth of [60, 100_000])
    assert.throws(() => decodeRequest({ body: body(depth), jsonBytes: null }, limits), { code: 'MALFORMED' })
})
