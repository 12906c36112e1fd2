import type { Datatype, TensorData } from '../port.ts'
import { largestHalf } from './half.ts'

/** Inclusive bounds of a tensor's values. */
export type Range = readonly [number, number]

export type NumberArray = Exclude<TensorData, BigInt64Array | BigUint64Array | readonly Uint8Array[]>

export interface NumberType {
  readonly kind: 'integer' | 'float' | 'boolean'
  /** Bytes of one value in binary data. */
  readonly width: number
  readonly range: Range
  /** Makes an empty array, or a view of whole values where the bytes are aligned. */
  readonly array: (size: number) => NumberArray
  readonly view: (buffer: ArrayBufferLike, offset: number, size: number) => NumberArray
}

type Constructor<T extends NumberArray> = {
  new (size: number): T
  new (buffer: ArrayBufferLike, offset: number, size: number): T
}

const largestFloat = 3.4028234663852886e38

function numbers<T extends NumberArray>(kind: NumberType['kind'], width: number, range: Range, Array: Constructor<T>): NumberType {
  const view: NumberType['view'] = (buffer, offset, size) => new Array(buffer, offset, size)
  return { kind, width, range, array: (size) => new Array(size), view }
}

/** Datatypes whose values are numbers of JavaScript. FP16 is two bytes on the wire, and held as FP32: no view of it is made. */
export const numberTypes = {
  BOOL: numbers('boolean', 1, [0, 1], Uint8Array),
  UINT8: numbers('integer', 1, [0, 0xff], Uint8Array),
  UINT16: numbers('integer', 2, [0, 0xffff], Uint16Array),
  UINT32: numbers('integer', 4, [0, 0xffffffff], Uint32Array),
  INT8: numbers('integer', 1, [-0x80, 0x7f], Int8Array),
  INT16: numbers('integer', 2, [-0x8000, 0x7fff], Int16Array),
  INT32: numbers('integer', 4, [-0x80000000, 0x7fffffff], Int32Array),
  FP16: numbers('float', 2, [-largestHalf, largestHalf], Float32Array),
  FP32: numbers('float', 4, [-largestFloat, largestFloat], Float32Array),
  FP64: numbers('float', 8, [-Number.MAX_VALUE, Number.MAX_VALUE], Float64Array),
} as const satisfies Partial<Record<Datatype, NumberType>>

export type NumberDatatype = keyof typeof numberTypes
export type LongDatatype = 'INT64' | 'UINT64'

export function isNumberDatatype(datatype: string): datatype is NumberDatatype {
  return Object.hasOwn(numberTypes, datatype)
}

export function isDatatype(datatype: string): datatype is Datatype {
  return isNumberDatatype(datatype) || datatype === 'INT64' || datatype === 'UINT64' || datatype === 'BYTES'
}

/** Bytes that a value takes in memory: what the limits count. A string costs an object of its own. */
export function heldBytes(datatype: Datatype): number {
  if (datatype === 'BYTES') return 64
  if (datatype === 'INT64' || datatype === 'UINT64') return 8
  return datatype === 'FP16' ? 4 : numberTypes[datatype].width
}

/** Bytes that a value takes in binary data; null where each has its own length. */
export function wireBytes(datatype: Datatype): number | null {
  if (datatype === 'BYTES') return null
  return isNumberDatatype(datatype) ? numberTypes[datatype].width : 8
}
