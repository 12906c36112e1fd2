import { crc32 } from 'node:zlib'
import type { OutgoingRecord } from '../../bus/port.ts'
import { EmitterError } from './errors.ts'

/**
 * One record in a spool segment:
 *
 * | bytes | what |
 * | --- | --- |
 * | 4 | length of the rest after the checksum, little-endian |
 * | 4 | CRC-32 of that rest, little-endian |
 * | 4 | length of the head |
 * | … | head: JSON `[topic, key, timestamp, headers, partition?]` |
 * | … | value; none for a tombstone |
 */
export const frameOverhead = 12
/** Longest frame that a reader believes; larger lengths are a torn or foreign file. */
export const maxFrameBytes = 2_097_152

type Head = [topic: string, key: string | null, timestamp: number, headers: Record<string, string>, valued: boolean, partition?: number]

export function encodeFrame(record: OutgoingRecord): Buffer {
  const head: Head = [record.topic, record.key, record.timestamp, record.headers, record.value !== null]
  if (record.partition !== undefined) head.push(record.partition)
  const text = JSON.stringify(head)
  const headBytes = Buffer.byteLength(text)
  const valueBytes = record.value?.length ?? 0
  const size = frameOverhead + headBytes + valueBytes
  if (size > maxFrameBytes) throw new EmitterError('FRAME_TOO_LARGE', `Spooling a record of ${size} bytes: at most ${maxFrameBytes} fit.`)
  const frame = Buffer.allocUnsafe(size)
  frame.writeUInt32LE(size - 8, 0)
  frame.writeUInt32LE(headBytes, 8)
  frame.write(text, frameOverhead)
  if (record.value !== null) frame.set(record.value, frameOverhead + headBytes)
  frame.writeUInt32LE(crc32(frame.subarray(8)), 4)
  return frame
}

export interface DecodedFrame {
  readonly record: OutgoingRecord
  /** Bytes of the whole frame. */
  readonly size: number
}

/** Where the first whole frame at or after `from` begins; undefined where there is none. */
export function findFrame(bytes: Buffer, from: number): number | undefined {
  for (let at = from; at + frameOverhead <= bytes.length; at++) if (decodeFrame(bytes, at) !== undefined) return at
  return undefined
}

/** The frame that begins at `offset`; undefined where it is cut off, or damaged. */
export function decodeFrame(bytes: Buffer, offset: number): DecodedFrame | undefined {
  if (offset + frameOverhead > bytes.length) return undefined
  const length = bytes.readUInt32LE(offset)
  const size = length + 8
  if (length < 4 || size > maxFrameBytes || offset + size > bytes.length) return undefined
  const body = bytes.subarray(offset + 8, offset + size)
  if (crc32(body) !== bytes.readUInt32LE(offset + 4)) return undefined
  const headBytes = body.readUInt32LE(0)
  const [topic, key, timestamp, headers, valued, partition] = JSON.parse(body.toString('utf8', 4, 4 + headBytes)) as Head
  const value = valued ? body.subarray(4 + headBytes) : null
  return { record: { topic, key, value, headers, timestamp, ...(partition === undefined ? {} : { partition }) }, size }
}
