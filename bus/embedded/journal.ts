import {
  close,
  closeSync,
  fdatasync,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { crc32 } from 'node:zlib'
import { BusError } from '../errors.ts'

const syncData = promisify(fdatasync)
const frameHeader = 8

/** A place in the journal: everything before it is in the index too. */
export interface JournalPosition {
  readonly generation: number
  readonly position: number
}

/**
 * What has been written but not yet indexed, in files of frames: u32 length · u32 CRC-32 · payload.
 *
 * An append is in the kernel when {@link append} returns (so it survives the process) and on disk when the next
 * {@link sync} resolves (so it survives the machine). A frame is read back whole or not at all.
 */
export class Journal {
  readonly #directory: string
  #generation: number
  #file: number
  #position: number
  #running: Promise<void> | null = null
  #following: Promise<void> | null = null

  private constructor(directory: string, generation: number, position: number) {
    this.#directory = directory
    this.#generation = generation
    this.#position = position
    this.#file = openSync(fileOf(directory, generation), 'a')
    ftruncateSync(this.#file, position)
    syncDirectory(directory)
  }

  /** Hands every whole frame after `applied` to `onFrame`, in order, and goes on after the last. */
  static open(directory: string, applied: JournalPosition, onFrame: (payload: Buffer) => void): Journal {
    const generations = generationsIn(directory).filter((generation) => {
      if (generation >= applied.generation) return true
      rmSync(fileOf(directory, generation))
      return false
    })
    let end = applied
    generations.forEach((generation, index) => {
      const bytes = readFileSync(fileOf(directory, generation))
      const start = generation === applied.generation ? applied.position : 0
      const position = replay(bytes, start, onFrame)
      // Only what was written last can be torn; a file is synced before its successor is begun.
      if (position < bytes.length && index < generations.length - 1) {
        throw new BusError(
          'CORRUPT_LOG',
          `reading ${fileOf(directory, generation)}: broken at byte ${position}; restore the data directory from a copy`,
        )
      }
      end = { generation, position }
    })
    return new Journal(directory, end.generation, end.position)
  }

  get position(): JournalPosition {
    return { generation: this.#generation, position: this.#position }
  }

  /** @throws BusError `BUS_UNAVAILABLE` where the disk refuses; nothing of the frame is left then */
  append(parts: readonly Buffer[]): void {
    let length = 0
    let checksum = 0
    for (const part of parts) {
      length += part.length
      checksum = crc32(part, checksum)
    }
    const head = Buffer.allocUnsafe(frameHeader)
    head.writeUInt32LE(length, 0)
    head.writeUInt32LE(checksum, 4)
    const frame = Buffer.concat([head, ...parts], frameHeader + length)
    try {
      for (let written = 0; written < frame.length; ) written += writeSync(this.#file, frame, written)
      this.#position += frame.length
    } catch (error) {
      ftruncateSync(this.#file, this.#position)
      throw new BusError('BUS_UNAVAILABLE', `writing ${fileOf(this.#directory, this.#generation)}: the disk refuses; free some space`, {
        cause: error,
      })
    }
  }

  /** Resolves when all that was appended before the call is on disk. Calls during one sync share the next. */
  sync(): Promise<void> {
    if (this.#running === null) {
      this.#running = syncData(this.#file).finally(() => {
        this.#running = null
      })
      return this.#running
    }
    this.#following ??= this.#running.then(
      () => this.#syncNext(),
      () => this.#syncNext(),
    )
    return this.#following
  }

  #syncNext(): Promise<void> {
    this.#following = null
    return this.sync()
  }

  /** Begins a new file, so that the old can go once it is indexed. */
  rotate(): void {
    const old = this.#file
    fdatasyncSync(old)
    this.#generation++
    this.#position = 0
    this.#file = openSync(fileOf(this.#directory, this.#generation), 'a')
    syncDirectory(this.#directory)
    // A sync that is under way on another thread still uses the old file.
    void Promise.resolve(this.#running)
      .catch(() => {})
      .then(() => close(old))
  }

  discardBefore(generation: number): void {
    for (const old of generationsIn(this.#directory)) if (old < generation) rmSync(fileOf(this.#directory, old))
  }

  async close(): Promise<void> {
    await this.sync()
    closeSync(this.#file)
  }
}

function replay(bytes: Buffer, start: number, onFrame: (payload: Buffer) => void): number {
  let at = start
  while (at + frameHeader <= bytes.length) {
    const end = at + frameHeader + bytes.readUInt32LE(at)
    if (end > bytes.length) break
    const payload = bytes.subarray(at + frameHeader, end)
    // A length of zero is what an unwritten page looks like, and its checksum would be right.
    if (payload.length === 0 || crc32(payload) !== bytes.readUInt32LE(at + 4)) break
    onFrame(payload)
    at = end
  }
  return at
}

function generationsIn(directory: string): number[] {
  return readdirSync(directory)
    .flatMap((name) => (/^journal-\d+$/.test(name) ? [Number(name.slice('journal-'.length))] : []))
    .sort((a, b) => a - b)
}

function fileOf(directory: string, generation: number): string {
  return join(directory, `journal-${generation}`)
}

/** A new file is only there after a power cut when its directory was synced too. */
function syncDirectory(directory: string): void {
  const handle = openSync(directory, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}
