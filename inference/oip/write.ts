import { isUtf8 } from 'node:buffer'
import type { Tensor } from '../port.ts'
import { numberTypes } from './datatype.ts'
import { OipError } from './errors.ts'
import { toHalf } from './half.ts'

/**
 * The values as a JSON array, flat. Integers of 64 bits are written whole, whoever reads them.
 *
 * @param decimals digits after the point of a float: one of FP32 would else show seventeen, whatever it was rounded to
 */
export function writeJson({ name, datatype, data }: Tensor, decimals?: number): string {
  if (!ArrayBuffer.isView(data)) return `[${data.map((value) => JSON.stringify(textOf(value, name))).join(',')}]`
  if (datatype === 'BOOL' && data instanceof Uint8Array)
    return `[${Array.from(data, (value) => (value === 0 ? 'false' : 'true')).join(',')}]`
  if (data instanceof Float32Array || data instanceof Float64Array) {
    checkFinite(data, name)
    if (decimals !== undefined) return `[${Array.from(data, (value) => Number(value.toFixed(decimals))).join(',')}]`
  }
  // Four times as fast as JSON.stringify, which needs an array first.
  return `[${data.join(',')}]`
}

function checkFinite(data: Float32Array | Float64Array, name: string): void {
  for (let i = 0; i < data.length; i++) {
    if (!Number.isFinite(data[i])) throw new OipError('VALUE_INVALID', `${name}: a number that JSON does not have; ask for binary data`)
  }
}

function textOf(value: Uint8Array, name: string): string {
  if (!isUtf8(value)) throw new OipError('VALUE_INVALID', `${name}: bytes that are no UTF-8; ask for binary data`)
  return Buffer.from(value.buffer, value.byteOffset, value.length).toString()
}

/** Little-endian, as Triton's binary tensor extension has them; a view where it needs no change. */
export function writeBinary({ datatype, data }: Tensor): Uint8Array {
  if (!ArrayBuffer.isView(data)) return writeStrings(data)
  if (datatype !== 'FP16') return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  const halves = new Uint8Array(data.length * numberTypes.FP16.width)
  for (let i = 0; i < data.length; i++) {
    const bits = toHalf(Number(data[i]))
    halves[2 * i] = bits & 0xff
    halves[2 * i + 1] = bits >> 8
  }
  return halves
}

function writeStrings(values: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(values.reduce((sum, { length }) => sum + 4 + length, 0))
  const view = new DataView(bytes.buffer)
  let at = 0
  for (const value of values) {
    view.setUint32(at, value.length, true)
    bytes.set(value, at + 4)
    at += 4 + value.length
  }
  return bytes
}
