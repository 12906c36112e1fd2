import { closeSync, ftruncateSync, openSync, unlinkSync, writeSync } from 'node:fs'

/** What the spool does to files that a disk may refuse. Each throws what the file system throws. */
export interface Disk {
  /** Makes a file that was not there, and opens it for writing. */
  create(path: string): number
  /** @returns bytes written, which may be fewer than were given */
  write(file: number, bytes: Uint8Array, from: number, position: number): number
  truncate(file: number, size: number): void
  close(file: number): void
  remove(path: string): void
}

export const realDisk: Disk = {
  create: (path) => openSync(path, 'wx', 0o600),
  write: (file, bytes, from, position) => writeSync(file, bytes, from, bytes.length - from, position),
  truncate: ftruncateSync,
  close: closeSync,
  remove: unlinkSync,
}
