import { crc32 } from 'node:zlib'
import type { Instant } from '../../schemas/index.ts'
import { BusError } from '../errors.ts'
import type { BusRecord, OutgoingRecord } from '../port.ts'

/*
 * Records are stored in runs. A run of records, all integers little-endian:
 *
 *   record    u32 length of the rest · f64 timestamp · bytes key · bytes value · u16 headers · (name · bytes value)*
 *   bytes     u32 length, or 0xffffffff for null · that many bytes
 *   name      u8 index into `names` plus 1 · or 0 and bytes
 *
 * A chunk, what the index stores: u8 version · u8 sparse · u16 zero · u32 CRC-32 of what follows · u32 count ·
 * if sparse, count × u32 offset minus the chunk's first · the run. Without `sparse` offsets are consecutive.
 */

/** Header names that nearly every record has; the position is part of the format, so only ever append. */
const names = ['ce_specversion', 'ce_id', 'ce_source', 'ce_type', 'ce_time', 'ce_dataschema', 'content-type', 'ce_partitionkey']
const codes = new Map(names.map((name, index) => [name, index + 1]))
const absent = 0xffffffff
const version = 1
const chunkHeader = 12

/** A run of records. */
export interface EncodedRun {
  readonly bytes: Buffer
  readonly count: number
}

/** Upper bound of a record's size in bytes; UTF-8 needs at most three for a UTF-16 unit. */
function roomFor(record: OutgoingRecord): number {
  let room = 4 + 8 + 4 + 3 * (record.key?.length ?? 0) + 4 + (record.value?.length ?? 0) + 2
  for (const name in record.headers) room += 9 + 3 * (name.length + (record.headers[name]?.length ?? 0))
  return room
}

/**
 * Lays out records one after another.
 *
 * @param at the time that all of them get; null where each has its own
 */
export function encodeRun(records: readonly OutgoingRecord[], at: Instant | null = null): EncodedRun {
  let room = 0
  for (const record of records) room += roomFor(record)
  const bytes = Buffer.allocUnsafeSlow(room)
  let end = 0
  for (const record of records) end = writeRecord(bytes, end, record, at ?? record.timestamp)
  // Give back what the worst case reserved, when it is worth a copy.
  return { bytes: end < room / 2 ? Buffer.from(bytes.subarray(0, end)) : bytes.subarray(0, end), count: records.length }
}

function writeRecord(bytes: Buffer, start: number, record: OutgoingRecord, timestamp: Instant): number {
  let at = bytes.writeDoubleLE(timestamp, start + 4)
  at = writeText(bytes, at, record.key)
  if (record.value === null) at = bytes.writeUInt32LE(absent, at)
  else {
    at = bytes.writeUInt32LE(record.value.length, at)
    bytes.set(record.value, at)
    at += record.value.length
  }
  const countAt = at
  let count = 0
  at += 2
  for (const name in record.headers) {
    if (!Object.hasOwn(record.headers, name)) continue
    const code = codes.get(name) ?? 0
    at = bytes.writeUInt8(code, at)
    if (code === 0) at = writeText(bytes, at, name)
    at = writeText(bytes, at, record.headers[name] ?? '')
    count++
  }
  bytes.writeUInt16LE(count, countAt)
  bytes.writeUInt32LE(at - start - 4, start)
  return at
}

function writeText(bytes: Buffer, at: number, text: string | null): number {
  if (text === null) return bytes.writeUInt32LE(absent, at)
  const length = bytes.write(text, at + 4, 'utf8')
  bytes.writeUInt32LE(length, at)
  return at + 4 + length
}

/** A record read out of a run: its headers are decoded when someone asks, since views and detectors seldom do. */
class StoredRecord implements BusRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: string | null
  readonly value: Uint8Array | null
  readonly #run: Buffer
  readonly #headersAt: number
  #headers: Readonly<Record<string, string>> | undefined

  constructor(topic: string, partition: number, offset: number, run: Buffer, start: number) {
    this.topic = topic
    this.partition = partition
    this.offset = offset
    this.#run = run
    this.timestamp = run.readDoubleLE(start + 4)
    const keyLength = run.readUInt32LE(start + 12)
    let at = start + 16
    this.key = keyLength === absent ? null : run.toString('utf8', at, at + keyLength)
    if (keyLength !== absent) at += keyLength
    const valueLength = run.readUInt32LE(at)
    at += 4
    this.value = valueLength === absent ? null : run.subarray(at, at + valueLength)
    this.#headersAt = valueLength === absent ? at : at + valueLength
  }

  get headers(): Readonly<Record<string, string>> {
    this.#headers ??= readHeaders(this.#run, this.#headersAt)
    return this.#headers
  }
}

function readHeaders(run: Buffer, start: number): Readonly<Record<string, string>> {
  const count = run.readUInt16LE(start)
  let at = start + 2
  const text = (): string => {
    const length = run.readUInt32LE(at)
    at += 4 + length
    return run.toString('utf8', at - length, at)
  }
  const entries: [string, string][] = []
  for (let i = 0; i < count; i++) {
    const code = run.readUInt8(at)
    at += 1
    const name = code === 0 ? text() : (names[code - 1] ?? '')
    entries.push([name, text()])
  }
  // fromEntries defines own properties, so that a header called __proto__ is only a header.
  return Object.fromEntries(entries)
}

/** Reads `count` records of a run; `offsetOf` gives the offset of the record at an index. */
export function decodeRun(topic: string, partition: number, run: Buffer, count: number, offsetOf: (index: number) => number): BusRecord[] {
  const records: BusRecord[] = []
  let at = 0
  for (let index = 0; index < count; index++) {
    records.push(new StoredRecord(topic, partition, offsetOf(index), run, at))
    at += 4 + run.readUInt32LE(at)
  }
  return records
}

/**
 * @param deltas offset minus the chunk's first, for each record; null where they are consecutive
 */
export function encodeChunk(runs: readonly Buffer[], count: number, deltas: readonly number[] | null): Buffer {
  const head = Buffer.alloc(chunkHeader + (deltas === null ? 0 : 4 * count))
  head[0] = version
  head[1] = deltas === null ? 0 : 1
  head.writeUInt32LE(count, 8)
  deltas?.forEach((delta, index) => head.writeUInt32LE(delta, chunkHeader + 4 * index))
  const chunk = Buffer.concat([head, ...runs])
  chunk.writeUInt32LE(crc32(chunk.subarray(8)), 4)
  return chunk
}

export interface Chunk {
  readonly count: number
  readonly deltas: readonly number[] | null
  readonly run: Buffer
}

/** @throws BusError `CORRUPT_LOG` */
export function decodeChunk(chunk: Buffer, what: string): Chunk {
  if (chunk.length < chunkHeader || chunk[0] !== version || chunk.readUInt32LE(4) !== crc32(chunk.subarray(8))) {
    throw new BusError('CORRUPT_LOG', `reading ${what}: its checksum is wrong; restore the data directory from a copy`)
  }
  const count = chunk.readUInt32LE(8)
  const deltas = chunk[1] === 1 ? Array.from({ length: count }, (_, index) => chunk.readUInt32LE(chunkHeader + 4 * index)) : null
  return { count, deltas, run: chunk.subarray(chunkHeader + (deltas === null ? 0 : 4 * count)) }
}
