import assert from 'node:assert/strict'
import { test } from 'node:test'
import { floatsOf } from '../../../inference/server/oip/watch.ts'

test('whatever datatype a tensor of numbers has, the fingerprinter gets its numbers', () => {
  for (const data of [
    Float32Array.of(0, 1, 200),
    Float64Array.of(0, 1, 200),
    Uint8Array.of(0, 1, 200),
    Uint16Array.of(0, 1, 200),
    Uint32Array.of(0, 1, 200),
    Int16Array.of(0, 1, 200),
    Int32Array.of(0, 1, 200),
    BigInt64Array.of(0n, 1n, 200n),
    BigUint64Array.of(0n, 1n, 200n),
  ])
    assert.deepEqual(floatsOf(data), Float32Array.of(0, 1, 200), data.constructor.name)
  assert.deepEqual(floatsOf(Int8Array.of(-128, 127)), Float32Array.of(-128, 127))
  assert.equal(floatsOf([Buffer.from('text')]), null)
})

test('a small input after a large one has its own length only, and one beyond what is kept is converted too', () => {
  assert.equal(floatsOf(new Uint8Array(2 ** 20 + 1).fill(3))?.at(-1), 3)
  assert.deepEqual(floatsOf(Uint8Array.of(1, 2, 3, 4))?.length, 4)
  assert.deepEqual(floatsOf(Uint8Array.of(9)), Float32Array.of(9))
})
