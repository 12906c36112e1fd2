import { mkdirSync, readdirSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { lockDirectory } from '../../bus/embedded/lock.ts'
import type { OutgoingRecord } from '../../bus/port.ts'
import { Cursor, type Place } from './cursor.ts'
import type { Disk } from './disk.ts'
import { EmitterError } from './errors.ts'
import { decodeFrame, findFrame, maxFrameBytes } from './frame.ts'

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
  readonly disk: Disk
  /** Told of damage: bytes that could not be read back and were skipped. What was in them is lost. */
  readonly onDamage: (path: string, offset: number, bytes: number, error?: unknown) => void
  /** Told each time that something else is refused: writing the cursor, cutting off half a write, removing what is shipped. */
  readonly onStuck: (error: unknown) => void
}

interface Segment {
  readonly number: number
  readonly path: string
  size: number
}

const segmentName = /^(\d{12})\.spool$/
/** Times that a disk is asked for what it fails to read. */
const mostReads = 5

/**
 * Frames in numbered segment files, and a cursor file that says how far they were shipped. One writer, one
 * reader, one process a directory. A write that returned is in the page cache and outlives the process,
 * though not a power cut. A new process never appends to a segment of an old one: the old one may end in half a frame.
 */
export class Spool {
  readonly #options: SpoolOptions
  readonly #segments: Segment[]
  readonly #cursor: Cursor
  readonly #unlock: () => void
  /** Open file of the newest segment; undefined until the first write. */
  #file: number | undefined
  #next: number
  #head: Place
  #pending = 0
  #failedReads = 0

  /** @throws EmitterError `SPOOL_UNUSABLE` */
  constructor(options: SpoolOptions) {
    this.#options = options
    try {
      mkdirSync(options.dir, { recursive: true, mode: 0o700 })
      this.#unlock = lockDirectory(options.dir)
      this.#cursor = new Cursor(options.dir, options.disk)
      this.#segments = existing(options.dir)
      const shipped = this.#cursor.read()
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
    const { segment, offset } = this.#write(bytes)
    let end = offset
    return frames.map((frame) => {
      end += frame.length
      return { segment, offset: end }
    })
  }

  /** Where the bytes begin. */
  #write(bytes: Buffer): Place {
    try {
      return this.#writeOnce(bytes)
    } catch (error) {
      // What is shipped may lie in the segment that was written to until now: its room may be what is missing.
      const segments = this.#segments.length
      this.#attempt(() => this.#removeShipped(this.#head))
      if (this.#segments.length === segments) throw error
      return this.#writeOnce(bytes)
    }
  }

  #writeOnce(bytes: Buffer): Place {
    const { file, segment } = this.#writable(bytes.length)
    try {
      for (let done = 0, written = 0; done < bytes.length; done += written) {
        written = this.#options.disk.write(file, bytes, done, segment.size + done)
        if (written === 0) throw new EmitterError('DISK_REFUSED', `Writing ${segment.path}: the disk took nothing.`)
      }
    } catch (error) {
      this.#undo(file, segment)
      throw error
    }
    const offset = segment.size
    segment.size += bytes.length
    this.#pending += bytes.length
    return { segment: segment.number, offset }
  }

  /**
   * The next records after the shipped ones, as many as one read brings; none when all is shipped. Damaged bytes are skipped up
   * to the next whole record.
   *
   * @throws what the file system throws; asked again and again it gives up what it cannot read
   */
  async read(): Promise<readonly SpooledRecord[]> {
    for (;;) {
      const segment = this.#segments.find(({ number }) => number >= this.#head.segment)
      if (segment === undefined) return []
      const offset = segment.number === this.#head.segment ? this.#head.offset : 0
      if (offset < segment.size) {
        const records = await this.#readFrom(segment, offset)
        if (records.length > 0) return records
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
    // Without a cursor more is sent again after a crash; segments are removed all the same, since a full disk needs their room.
    this.#attempt(() => this.#cursor.write(place))
    this.#attempt(() => this.#removeShipped(place))
  }

  #attempt(change: () => void): void {
    try {
      change()
    } catch (error) {
      this.#options.onStuck(error)
    }
  }

  #removeShipped(place: Place): void {
    for (let first = this.#segments[0]; first !== undefined; first = this.#segments[0]) {
      const done = first.number < place.segment || (first.number === place.segment && place.offset >= first.size)
      const current = this.#file !== undefined && first === this.#segments.at(-1)
      if (!done || (current && first.size < this.#options.segmentBytes / 2)) return
      if (current) this.#closeFile()
      this.#remove(first.path)
      this.#segments.shift()
    }
  }

  /** None where there is damage: then what is damaged is behind. */
  async #readFrom(segment: Segment, offset: number): Promise<readonly SpooledRecord[]> {
    try {
      const records = decodeAll(await readAt(segment.path, offset, segment.size, maxFrameBytes), segment.number, offset)
      if (records.length === 0) this.#skip(segment, offset, await damagedBytes(segment, offset))
      this.#failedReads = 0
      return records
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'ENOENT' && !(code === 'EIO' && ++this.#failedReads >= mostReads)) throw error
      this.#failedReads = 0
      this.#skip(segment, offset, segment.size - offset, error)
      return []
    }
  }

  #skip(segment: Segment, offset: number, bytes: number, error?: unknown): void {
    this.#options.onDamage(segment.path, offset, bytes, error)
    this.shipped({ segment: segment.number, offset: offset + bytes }, bytes)
  }

  close(): void {
    this.#closeFile()
    this.#cursor.close()
    this.#attempt(() => {
      if (this.#pending <= 0) for (const { path } of this.#segments.splice(0)) this.#remove(path)
      if (this.#segments.length === 0) this.#remove(this.#cursor.path)
    })
    this.#unlock()
  }

  /** Where a new process goes on: at the cursor when its segment is there, else at the oldest segment. */
  #resume(shipped: Place | undefined): Place {
    const done = this.#segments.filter(({ number }) => shipped !== undefined && number < shipped.segment)
    for (const { path } of this.#segments.splice(0, done.length)) this.#remove(path)
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
    const file = this.#options.disk.create(path)
    this.#next++
    this.#closeFile()
    this.#file = file
    const segment = { number, path, size: 0 }
    this.#segments.push(segment)
    return { file, segment }
  }

  /** Half a write is cut off; where it cannot be, no reader goes so far, since what is written next goes to another file. */
  #undo(file: number, segment: Segment): void {
    this.#attempt(() => this.#options.disk.truncate(file, segment.size))
    this.#closeFile()
    if (segment.size > 0) return
    // Else a disk that goes on like this would leave one empty segment for each write.
    this.#segments.pop()
    this.#attempt(() => this.#remove(segment.path))
  }

  #closeFile(): void {
    const file = this.#file
    this.#file = undefined
    if (file !== undefined) this.#attempt(() => this.#options.disk.close(file))
  }

  #remove(path: string): void {
    try {
      this.#options.disk.remove(path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
}

function existing(dir: string): Segment[] {
  const names = readdirSync(dir).filter((name) => segmentName.test(name))
  return names.sort().map((name) => {
    const path = join(dir, name)
    return { number: Number.parseInt(name, 10), path, size: statSync(path).size }
  })
}

/** How many bytes from `offset` on hold no whole frame. */
async function damagedBytes({ path, size }: Segment, offset: number): Promise<number> {
  // A frame that begins within the first half of the window ends within the window.
  const bytes = await readAt(path, offset, size, 2 * maxFrameBytes)
  const next = findFrame(bytes, 1)
  if (next !== undefined) return next
  return bytes.length === 2 * maxFrameBytes ? maxFrameBytes : size - offset
}

async function readAt(path: string, offset: number, end: number, most: number): Promise<Buffer> {
  const file = await open(path, 'r')
  try {
    const bytes = Buffer.allocUnsafe(Math.min(end - offset, most))
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
