import { InferenceError } from '../errors.ts'
import type { Datatype, Tensor, TensorData, TensorSpec } from '../port.ts'
import type { Block, Values } from './protocol.ts'

const dtypes = {
  FP16: 'float32',
  FP32: 'float32',
  FP64: 'float32',
  INT8: 'int32',
  INT16: 'int32',
  INT32: 'int32',
  INT64: 'int32',
  UINT8: 'int32',
  UINT16: 'int32',
  UINT32: 'int32',
  UINT64: 'int32',
  BOOL: 'bool',
  BYTES: 'string',
} as const satisfies Record<Datatype, 'float32' | 'int32' | 'bool' | 'string'>

/** What tfjs holds a datatype as: 32 bits are the most that it has. */
export function dtypeOf(datatype: Datatype): 'float32' | 'int32' | 'bool' | 'string' {
  return dtypes[datatype]
}

/** Room for `length` values of a datatype. */
export function emptyOf(datatype: Datatype, length: number): Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer> | Uint8Array<ArrayBuffer> {
  const dtype = dtypeOf(datatype)
  if (dtype === 'float32') return new Float32Array(length)
  return dtype === 'int32' ? new Int32Array(length) : new Uint8Array(length)
}

/** Values in one row: the product of the shape without its first dimension. */
export function rowSize(shape: readonly number[]): number {
  return shape.slice(1).reduce((product, size) => product * size, 1)
}

/**
 * A tensor of a request as tfjs takes it; its own array where that already is what tfjs takes.
 *
 * Throws `INPUT_INVALID` where the datatype is not the model's, the shape does not fit, or an integer does not fit 32 bits.
 */
export function valuesOf(spec: TensorSpec, tensor: Tensor, items: number): Values {
  const { data, shape } = tensor
  const fits =
    shape.length === spec.shape.length && spec.shape.every((size, i) => (i === 0 ? shape[0] === items : size < 0 || size === shape[i]))
  if (tensor.datatype !== spec.datatype) throw invalid(`The input ${spec.name} takes ${spec.datatype}, not ${tensor.datatype}`)
  if (!fits) throw invalid(`The input ${spec.name} takes items of the shape ${spec.shape.slice(1).join(' × ') || 'of one value'}`)
  if (data.length !== items * rowSize(shape)) {
    throw invalid(`${items} items of ${spec.name} are ${items * rowSize(shape)} values, not ${data.length}`)
  }
  const dtype = dtypeOf(spec.datatype)
  if (Array.isArray(data) !== (dtype === 'string')) throw invalid(`The input ${spec.name} takes ${spec.datatype}`)
  if (isList(data)) return data
  if (dtype === 'float32') return data instanceof Float32Array ? data : floats(data)
  if (dtype === 'bool') return Uint8Array.from(floats(data), (value) => (value === 0 ? 0 : 1))
  return data instanceof Int32Array ? data : toInt32(spec.name, data)
}

function floats(data: Exclude<TensorData, readonly Uint8Array[]>): Float32Array {
  const values = new Float32Array(data.length)
  for (let i = 0; i < values.length; i++) values[i] = Number(data[i])
  return values
}

function toInt32(name: string, data: Exclude<TensorData, readonly Uint8Array[]>): Int32Array {
  const values = Int32Array.from(data, Number)
  for (let i = 0; i < values.length; i++) {
    // Numbers beyond 2^53 do not come back as themselves either: what differs does not fit.
    if (Number(data[i]) !== values[i])
      throw invalid(`The input ${name} has a value that does not fit 32 bits with a sign, which is what this node computes with`)
  }
  return values
}

/** An output as the Open Inference Protocol has it. */
export function tensorOf(spec: TensorSpec, { data, shape }: Block): Tensor {
  return { name: spec.name, datatype: spec.datatype, shape, data: isList(data) ? data : dataOf(spec.datatype, data) }
}

function dataOf(datatype: Datatype, data: Float32Array | Int32Array | Uint8Array): TensorData {
  switch (datatype) {
    case 'FP64':
      return Float64Array.from(data)
    case 'INT8':
      return Int8Array.from(data)
    case 'INT16':
      return Int16Array.from(data)
    case 'UINT8':
      return Uint8Array.from(data)
    case 'UINT16':
      return Uint16Array.from(data)
    case 'UINT32':
      return Uint32Array.from(data)
    case 'INT64':
      return BigInt64Array.from(Array.from(data, BigInt))
    case 'UINT64':
      return BigUint64Array.from(Array.from(data, BigInt))
    default:
      return data
  }
}

export function isList(data: Values | TensorData): data is readonly Uint8Array[] {
  return Array.isArray(data)
}

function invalid(message: string): InferenceError {
  return new InferenceError('INPUT_INVALID', message)
}
