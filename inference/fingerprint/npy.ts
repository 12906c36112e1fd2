import { closeSync, openSync, readSync } from 'node:fs'
import { endianness } from 'node:os'
import type { Samples } from './build-profile.ts'
import { FingerprintError } from './errors.ts'

/** Inputs of a NumPy file, read one at a time: it may be larger than memory. */
export interface NpyFile extends Samples {
  /** Dimensions of one input. */
  readonly shape: readonly number[]
  close(): void
}

const longestHeader = 65_536
const bytesOf: Readonly<Record<string, number>> = { '<f4': 4, '<f8': 8, '|u1': 1 }

/**
 * Opens a `.npy` of `<f4`, `<f8` or `|u1` in C order, `[items, …shape]` (numpy.lib.format, versions 1 to 3).
 *
 * @throws FingerprintError `INPUTS_UNREADABLE`
 */
export function openNpy(path: string): NpyFile {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch (cause) {
    throw new FingerprintError('INPUTS_UNREADABLE', `The inputs cannot be read: ${path}. Is it there, and ours to read?`, { cause })
  }
  try {
    return samplesIn(file, path)
  } catch (error) {
    closeSync(file)
    throw error
  }
}

function samplesIn(file: number, path: string): NpyFile {
  const { start, type, shape: all } = readHeader(file, path)
  const [count = 0, ...shape] = all
  const width = shape.reduce((a, b) => a * b, 1)
  const item = width * (bytesOf[type] as number)
  const bytes = new Uint8Array(item)
  const values = new Float32Array(width)
  const view = type === '|u1' ? bytes : type === '<f4' ? new Float32Array(bytes.buffer) : new Float64Array(bytes.buffer)
  return {
    shape,
    count,
    at(index) {
      if (readSync(file, bytes, 0, item, start + index * item) !== item) throw refuse(path, `ends before its ${count} inputs do`)
      values.set(view)
      return values
    },
    close: () => closeSync(file),
  }
}

function readHeader(file: number, path: string): { start: number; type: string; shape: readonly number[] } {
  const first = Buffer.alloc(12)
  readSync(file, first, 0, 12, 0)
  const major = first[6] ?? 0
  if (first.subarray(0, 6).toString('latin1') !== '\x93NUMPY' || major < 1 || major > 3) throw refuse(path, 'is no .npy file')
  const [start, length] = major === 1 ? [10, first.readUInt16LE(8)] : [12, first.readUInt32LE(8)]
  if (length > longestHeader) throw refuse(path, 'has a header that is too long')
  const header = Buffer.alloc(length)
  readSync(file, header, 0, length, start)
  const text = header.toString('latin1')
  const type = /'descr':\s*'([^']*)'/.exec(text)?.[1] ?? ''
  const sizes = /'shape':\s*\(([\d,\s]*)\)/.exec(text)?.[1]
  if (!(type in bytesOf) || endianness() !== 'LE') throw refuse(path, `has values of another type than ${Object.keys(bytesOf).join(', ')}`)
  if (!/'fortran_order':\s*False/.test(text)) throw refuse(path, 'is in Fortran order; save numpy.ascontiguousarray(x)')
  const shape = (sizes ?? '')
    .split(',')
    .filter((size) => size.trim() !== '')
    .map(Number)
  if (shape.length < 2 || shape.some((size) => !(size > 0))) throw refuse(path, 'has no inputs: its shape must be [items, …]')
  return { start: start + length, type, shape }
}

function refuse(path: string, why: string): FingerprintError {
  return new FingerprintError('INPUTS_UNREADABLE', `${path} ${why}.`)
}
