import type { Datatype, TensorData } from '../port.ts'
import { isNumberDatatype, type LongDatatype, type NumberArray, type NumberType, numberTypes, type Range } from './datatype.ts'
import { OipError } from './errors.ts'
import { fromHalf, toHalf } from './half.ts'

/** A tensor whose size was checked: nothing more than it says is allocated. */
export interface Reading {
  readonly datatype: Datatype
  readonly shape: readonly number[]
  /** Product of the shape. */
  readonly size: number
  /** Of the model, where it declares one. */
  readonly range: Range | undefined
  /** Where it stands in the message, for errors: `inputs[0]`. */
  readonly where: string
}

/** Writes one row of JSON into an array, and says where the next one goes. */
type FillRow = (row: readonly unknown[], at: number) => number

/** Data may be flat, or nested as the shape says; nothing between. */
export function readJson(data: readonly unknown[], reading: Reading): TensorData {
  const { datatype, size } = reading
  if (datatype === 'FP32') {
    const values = new Float32Array(size)
    const [low, high] = rangeOf(numberTypes.FP32, reading.range)
    walk(data, reading, (row, at) => fillFloats(values, row, at, low, high, reading))
    return values
  }
  if (isNumberDatatype(datatype)) return readNumbers(data, reading, numberTypes[datatype])
  if (datatype === 'BYTES') {
    const values: Uint8Array[] = []
    walk(data, reading, (row, at) => fillBytes(values, row, at, reading))
    return values
  }
  return readLongs(data, reading, datatype)
}

/** What both the datatype and the model allow. */
export function rangeOf({ range: [low, high] }: NumberType, declared: Range | undefined): Range {
  return declared === undefined ? [low, high] : [Math.max(low, declared[0]), Math.min(high, declared[1])]
}

function walk(data: readonly unknown[], reading: Reading, fill: FillRow): void {
  const { shape, size, where } = reading
  if (shape.length > 1 && Array.isArray(data[0])) {
    walkNested(data, reading, 0, 0, fill)
    return
  }
  if (data.length !== size) throw new OipError('SIZE_MISMATCH', `${where}.data: the shape says ${size} values`)
  fill(data, 0)
}

function walkNested(data: readonly unknown[], reading: Reading, axis: number, at: number, fill: FillRow): number {
  const { shape, where } = reading
  if (data.length !== shape[axis]) throw new OipError('SIZE_MISMATCH', `${where}.data: the shape says ${shape[axis]} in dimension ${axis}`)
  if (axis === shape.length - 1) return fill(data, at)
  let next = at
  for (const part of data) {
    if (!Array.isArray(part)) throw new OipError('SIZE_MISMATCH', `${where}.data: expected an array in dimension ${axis}`)
    next = walkNested(part, reading, axis + 1, next, fill)
  }
  return next
}

/** By far the most frequent: a loop of its own, of one type of array. */
function fillFloats(values: Float32Array, row: readonly unknown[], at: number, low: number, high: number, reading: Reading): number {
  for (let i = 0; i < row.length; i++) {
    const value = row[i]
    // Written so that NaN fails too.
    if (typeof value !== 'number' || !(value >= low && value <= high)) throw outside(reading, at + i, low, high)
    values[at + i] = value
  }
  return at + row.length
}

function readNumbers(data: readonly unknown[], reading: Reading, type: NumberType): NumberArray {
  const values = type.array(reading.size)
  const [low, high] = rangeOf(type, reading.range)
  const { kind } = type
  walk(data, reading, (row, at) => {
    for (let i = 0; i < row.length; i++) {
      const given = row[i]
      const value = kind === 'boolean' && typeof given === 'boolean' ? Number(given) : given
      if (typeof value !== 'number' || !(value >= low && value <= high)) throw outside(reading, at + i, low, high)
      if (kind !== 'float' && !Number.isInteger(value))
        throw new OipError('VALUE_INVALID', `${reading.where}.data: value ${at + i} is not an integer`)
      values[at + i] = reading.datatype === 'FP16' ? fromHalf(toHalf(value)) : value
    }
    return at + row.length
  })
  return values
}

function readLongs(data: readonly unknown[], reading: Reading, datatype: LongDatatype): BigInt64Array | BigUint64Array {
  const values = datatype === 'INT64' ? new BigInt64Array(reading.size) : new BigUint64Array(reading.size)
  const least = datatype === 'INT64' ? Number.MIN_SAFE_INTEGER : 0
  const low = Math.max(least, reading.range?.[0] ?? least)
  const high = Math.min(Number.MAX_SAFE_INTEGER, reading.range?.[1] ?? Number.MAX_SAFE_INTEGER)
  walk(data, reading, (row, at) => {
    for (let i = 0; i < row.length; i++) {
      const value = row[i]
      if (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value))
        throw new OipError(
          'VALUE_INVALID',
          `${reading.where}.data: value ${at + i} is beyond 2^53, which JSON cannot hold: send binary data`,
        )
      if (typeof value !== 'number' || !(value >= low && value <= high)) throw outside(reading, at + i, low, high)
      if (!Number.isInteger(value)) throw new OipError('VALUE_INVALID', `${reading.where}.data: value ${at + i} is not an integer`)
      values[at + i] = BigInt(value)
    }
    return at + row.length
  })
  return values
}

function fillBytes(values: Uint8Array[], row: readonly unknown[], at: number, { where }: Reading): number {
  for (let i = 0; i < row.length; i++) {
    const value = row[i]
    if (typeof value !== 'string') throw new OipError('VALUE_INVALID', `${where}.data: value ${at + i} is not a string`)
    // A lone surrogate has no UTF-8.
    if (!value.isWellFormed()) throw new OipError('VALUE_INVALID', `${where}.data: value ${at + i} is not Unicode: send binary data`)
    values.push(Buffer.from(value))
  }
  return at + row.length
}

function outside({ where }: Reading, index: number, low: number, high: number): OipError {
  return new OipError('VALUE_INVALID', `${where}.data: value ${index} is not a number from ${low} to ${high}`)
}
