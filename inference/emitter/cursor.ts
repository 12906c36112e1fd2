import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import type { Disk } from './disk.ts'

/** A place in the spool: segment, and byte in it. */
export interface Place {
  readonly segment: number
  readonly offset: number
}

const size = 20

/** The file that says how far a spool was shipped: segment and offset as 64-bit, and the CRC-32 of both, little-endian. */
export class Cursor {
  readonly #disk: Disk
  readonly #file: number
  readonly path: string

  /** @throws what the file system throws */
  constructor(dir: string, disk: Disk) {
    this.#disk = disk
    this.path = join(dir, 'cursor')
    closeSync(openSync(this.path, 'a+', 0o600))
    this.#file = openSync(this.path, 'r+')
    this.#reserve()
  }

  /** Undefined where it was never written, or not whole. */
  read(): Place | undefined {
    const bytes = Buffer.alloc(size)
    readSync(this.#file, bytes, 0, size, 0)
    if (crc32(bytes.subarray(0, 16)) !== bytes.readUInt32LE(16)) return undefined
    return { segment: Number(bytes.readBigUInt64LE(0)), offset: Number(bytes.readBigUInt64LE(8)) }
  }

  /** @throws what the file system throws; then the cursor says what it said, or nothing */
  write({ segment, offset }: Place): void {
    const bytes = Buffer.allocUnsafe(size)
    bytes.writeBigUInt64LE(BigInt(segment), 0)
    bytes.writeBigUInt64LE(BigInt(offset), 8)
    bytes.writeUInt32LE(crc32(bytes.subarray(0, 16)), 16)
    this.#disk.write(this.#file, bytes, 0, 0)
  }

  close(): void {
    closeSync(this.#file)
  }

  /** Takes its room now: later the disk may be full. */
  #reserve(): void {
    if (fstatSync(this.#file).size >= size) return
    try {
      this.#disk.write(this.#file, new Uint8Array(size), 0, 0)
    } catch {
      // Then it is written when there is room.
    }
  }
}
