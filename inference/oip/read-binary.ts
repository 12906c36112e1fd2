import type { TensorData } from '../port.ts'
import { isNumberDatatype, type LongDatatype, type NumberArray, type NumberType, numberTypes, wireBytes } from './datatype.ts'
import { OipError } from './errors.ts'
import { fromHalf } from './half.ts'
import { type Reading, rangeOf } from './read-json.ts'

/**
 * Little-endian values as Triton's binary tensor extension has them; a view of `bytes` where they are aligned, else a copy.
 *
 * @param strict whether floats must be finite; a model may well answer −∞
 */
export function readBinary(bytes: Uint8Array, reading: Reading, strict: boolean): TensorData {
  const { datatype, size, where } = reading
  const width = wireBytes(datatype)
  if (width !== null && bytes.length !== size * width)
    throw new OipError('SIZE_MISMATCH', `${where}: the shape says ${size * width} bytes, and binary_data_size something else`)
  if (datatype === 'BYTES') return readStrings(bytes, reading)
  if (!isNumberDatatype(datatype)) return readLongs(bytes, reading, datatype)
  const type = numberTypes[datatype]
  const values = datatype === 'FP16' ? readHalves(bytes, size) : alignedView(bytes, size, type)
  checkValues(values, reading, type, strict)
  return values
}

function alignedView(bytes: Uint8Array, size: number, type: NumberType): NumberArray {
  if (bytes.byteOffset % type.width === 0) return type.view(bytes.buffer, bytes.byteOffset, size)
  return type.view(copyOf(bytes), 0, size)
}

function copyOf(bytes: Uint8Array): ArrayBuffer {
  const copy = new ArrayBuffer(bytes.length)
  new Uint8Array(copy).set(bytes)
  return copy
}

function readHalves(bytes: Uint8Array, size: number): Float32Array {
  const values = new Float32Array(size)
  for (let i = 0; i < size; i++) values[i] = fromHalf((bytes[2 * i] ?? 0) | ((bytes[2 * i + 1] ?? 0) << 8))
  return values
}

function checkValues(values: NumberArray, reading: Reading, type: NumberType, strict: boolean): void {
  // Any bits are an integer of their type.
  if (type.kind === 'integer' && reading.range === undefined) return
  if (type.kind === 'float' && !strict) return
  const [low, high] = rangeOf(type, reading.range)
  if (values instanceof Float32Array) return checkFloats(values, low, high, reading)
  for (let i = 0; i < values.length; i++) {
    const value = values[i]
    if (value === undefined || !(value >= low && value <= high)) throw outside(reading, i, low, high)
  }
}

/** A loop of its own, of one type of array, as in read-json.ts. */
function checkFloats(values: Float32Array, low: number, high: number, reading: Reading): void {
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number
    if (!(value >= low && value <= high)) throw outside(reading, i, low, high)
  }
}

function readLongs(bytes: Uint8Array, reading: Reading, datatype: LongDatatype): BigInt64Array | BigUint64Array {
  const { size, range } = reading
  const aligned = bytes.byteOffset % 8 === 0
  const buffer = aligned ? bytes.buffer : copyOf(bytes)
  const offset = aligned ? bytes.byteOffset : 0
  const values = datatype === 'INT64' ? new BigInt64Array(buffer, offset, size) : new BigUint64Array(buffer, offset, size)
  if (range === undefined) return values
  const [low, high] = range
  for (let i = 0; i < size; i++) {
    const value = values[i]
    // Comparisons of a bigint with a number are exact.
    if (value === undefined || !(value >= low && value <= high)) throw outside(reading, i, low, high)
  }
  return values
}

/** Each with its length before it, four bytes. */
function readStrings(bytes: Uint8Array, { size, where }: Reading): readonly Uint8Array[] {
  if (size * 4 > bytes.length) throw new OipError('SIZE_MISMATCH', `${where}: the shape says ${size} values, and the bytes are fewer`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const values: Uint8Array[] = []
  let at = 0
  for (let i = 0; i < size; i++) {
    const from = at + 4
    const to = from <= bytes.length ? from + view.getUint32(at, true) : Number.POSITIVE_INFINITY
    if (to > bytes.length) throw new OipError('SIZE_MISMATCH', `${where}: value ${i} goes beyond binary_data_size`)
    values.push(bytes.subarray(from, to))
    at = to
  }
  if (at !== bytes.length) throw new OipError('SIZE_MISMATCH', `${where}: bytes are left over after ${size} values`)
  return values
}

function outside({ where }: Reading, index: number, low: number, high: number): OipError {
  return new OipError('VALUE_INVALID', `${where}: value ${index} is not a number from ${low} to ${high}`)
}
