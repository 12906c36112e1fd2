import { closeSync, fstatSync, ftruncateSync, mkdirSync, openSync, readdirSync, readSync, statSync, unlinkSync, writeSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { lockDirectory } from '../../bus/embedded/lock.ts'
import type { OutgoingRecord } from '../../bus/port.ts'
import { EmitterError } from './errors.ts'
import { decodeFrame, maxFrameBytes } from './frame.ts'

/** A place in the spool: segment, and byte in it. */
export interface Place {
  readonly segment: number
  readonly offset: number
}

export interface SpooledRecord {
  readonly record: OutgoingRecord
  readonly size: number
  /** Where the next record begins. */
  readonly end: Place
}

export interface SpoolOptions {
  readonly dir: string
  /** Bytes of a segment file. */
  readonly segmentBytes: number
  /** Told of damage: bytes that could not be read back and were skipped. */
  readonly onDamage: (path: string, offset: number, bytes: number) => void
}

interface Segment {
  readonly number: number
  readonly path: string
  size: number
}

const segmentName = /^(\d{12})\.spool$/
const cursorBytes = 20

/**
 * Frames in numbered segment files, and a cursor file that says how far they were shipped. One writer, one
 * reader, one process a directory. A write that returned is in the page cache and outlives the process,
 * though not a power cut. A new process never appends to a segment of an old one: the old one may end in half a frame.
 */
export class Spool {
  readonly #options: SpoolOptions
  readonly #segments: Segment[]
  readonly #cursor: number
  readonly #unlock: () => void
  /** Open file of the newest segment; undefined until the first write. */
  #file: number | undefined
  #next: number
  #head: Place
  #pending = 0

  /** @throws EmitterError `SPOOL_UNUSABLE` */
  constructor(options: SpoolOptions) {
    this.#options = options
    try {
      mkdirSync(options.dir, { recursive: true, mode: 0o700 })
      this.#unlock = lockDirectory(options.dir)
      this.#cursor = openSync(join(options.dir, 'cursor'), 'a+', 0o600)
      closeSync(this.#cursor)
      this.#cursor = openSync(join(options.dir, 'cursor'), 'r+')
      this.#segments = existing(options.dir)
      const shipped = readCursor(this.#cursor)
      this.#head = this.#resume(shipped)
      this.#next = Math.max(shipped?.segment ?? 0, this.#segments.at(-1)?.number ?? 0) + 1
    } catch (error) {
      throw new EmitterError(
        'SPOOL_UNUSABLE',
        `Opening the spool in ${options.dir}: check that the directory can be written, and that no other process has it.`,
        {
          cause: error,
        },
      )
    }
    this.#pending = this.bytes - (this.#segments[0]?.number === this.#head.segment ? this.#head.offset : 0)
  }

  /** Bytes on disk. */
  get bytes(): number {
    return this.#segments.reduce((sum, { size }) => sum + size, 0)
  }

  /** Bytes not shipped yet. */
  get pending(): number {
    return this.#pending
  }

  /**
   * Appends frames with one write.
   *
   * @returns where each of them ends
   * @throws what the file system throws; then none of them is in the spool
   */
  append(frames: readonly Buffer[]): readonly Place[] {
    const bytes = frames.length === 1 && frames[0] !== undefined ? frames[0] : Buffer.concat(frames)
    const { file, segment } = this.#writable(bytes.length)
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done, bytes.length - done, segment.size + done)
    } catch (error) {
      this.#undo(file, segment)
      throw error
    }
    let end = segment.size
    segment.size += bytes.length
    this.#pending += bytes.length
    return frames.map((frame) => {
      end += frame.length
      return { segment: segment.number, offset: end }
    })
  }

  /** The next records after the shipped ones, as many as one read brings; none when all is shipped. */
  async read(): Promise<readonly SpooledRecord[]> {
    for (;;) {
      const segment = this.#segments.find(({ number }) => number >= this.#head.segment)
      if (segment === undefined) return []
      const offset = segment.number === this.#head.segment ? this.#head.offset : 0
      if (offset < segment.size) {
        const records = decodeAll(await readAt(segment.path, offset, segment.size), segment.number, offset)
        if (records.length > 0) return records
        this.#options.onDamage(segment.path, offset, segment.size - offset)
        this.shipped({ segment: segment.number, offset: segment.size }, segment.size - offset)
      } else if (segment === this.#segments.at(-1)) return []
      else this.#head = { segment: segment.number + 1, offset: 0 }
    }
  }

  /** Whether nothing was appended after `place`. */
  isEnd({ segment, offset }: Place): boolean {
    const last = this.#segments.at(-1)
    return last === undefined || (last.number === segment && last.size === offset)
  }

  /** Everything before `place` is on the bus; `bytes` of it since the last call. */
  shipped(place: Place, bytes: number): void {
    this.#head = place
    this.#pending -= bytes
    writeCursor(this.#cursor, place)
    for (let first = this.#segments[0]; first !== undefined; first = this.#segments[0]) {
      const done = first.number < place.segment || (first.number === place.segment && place.offset >= first.size)
      const current = this.#file !== undefined && first === this.#segments.at(-1)
      if (!done || (current && first.size < this.#options.segmentBytes / 2)) return
      if (current) this.#closeFile()
      unlinkSync(first.path)
      this.#segments.shift()
    }
  }

  close(): void {
    this.#closeFile()
    const { dir } = this.#options
    if (this.#pending <= 0) for (const { path } of this.#segments.splice(0)) unlinkSync(path)
    closeSync(this.#cursor)
    if (this.#segments.length === 0) unlinkSync(join(dir, 'cursor'))
    this.#unlock()
  }

  /** Where a new process goes on: at the cursor when its segment is there, else at the oldest segment. */
  #resume(shipped: Place | undefined): Place {
    const done = this.#segments.filter(({ number }) => shipped !== undefined && number < shipped.segment)
    for (const { path } of this.#segments.splice(0, done.length)) unlinkSync(path)
    const first = this.#segments[0]
    if (first !== undefined && first.number === shipped?.segment && shipped.offset <= first.size) return shipped
    return { segment: first?.number ?? 0, offset: 0 }
  }

  #writable(bytes: number): { file: number; segment: Segment } {
    const current = this.#segments.at(-1)
    if (this.#file !== undefined && current !== undefined && (current.size === 0 || current.size + bytes <= this.#options.segmentBytes))
      return { file: this.#file, segment: current }
    const number = this.#next
    const path = join(this.#options.dir, `${String(number).padStart(12, '0')}.spool`)
    const file = openSync(path, 'wx', 0o600)
    this.#next++
    this.#closeFile()
    this.#file = file
    const segment = { number, path, size: 0 }
    this.#segments.push(segment)
    return { file, segment }
  }

  /** Half a write must not stand before later ones; where it cannot be cut off, later ones go to another file. */
  #undo(file: number, segment: Segment): void {
    try {
      ftruncateSync(file, segment.size)
    } catch {
      this.#closeFile()
    }
  }

  #closeFile(): void {
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
  }
}

function existing(dir: string): Segment[] {
  const names = readdirSync(dir).filter((name) => segmentName.test(name))
  return names.sort().map((name) => {
    const path = join(dir, name)
    return { number: Number.parseInt(name, 10), path, size: statSync(path).size }
  })
}

async function readAt(path: string, offset: number, end: number): Promise<Buffer> {
  const file = await open(path, 'r')
  try {
    const bytes = Buffer.allocUnsafe(Math.min(end - offset, maxFrameBytes))
    const { bytesRead } = await file.read(bytes, 0, bytes.length, offset)
    return bytes.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}

function decodeAll(bytes: Buffer, segment: number, base: number): SpooledRecord[] {
  const records: SpooledRecord[] = []
  for (let at = 0; ; ) {
    const frame = decodeFrame(bytes, at)
    if (frame === undefined) return records
    at += frame.size
    records.push({ ...frame, end: { segment, offset: base + at } })
  }
}

/** Undefined where it was never written, or not whole. */
function readCursor(file: number): Place | undefined {
  if (fstatSync(file).size < cursorBytes) return undefined
  const bytes = Buffer.alloc(cursorBytes)
  readSync(file, bytes, 0, cursorBytes, 0)
  if (crc32(bytes.subarray(0, 16)) !== bytes.readUInt32LE(16)) return undefined
  return { segment: Number(bytes.readBigUInt64LE(0)), offset: Number(bytes.readBigUInt64LE(8)) }
}

function writeCursor(file: number, { segment, offset }: Place): void {
  const bytes = Buffer.allocUnsafe(cursorBytes)
  bytes.writeBigUInt64LE(BigInt(segment), 0)
  bytes.writeBigUInt64LE(BigInt(offset), 8)
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 16)), 16)
  writeSync(file, bytes, 0, cursorBytes, 0)
}
