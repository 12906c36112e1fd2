import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs'

/** Writes a small file whole or not at all, whenever the process is killed; readable by its owner alone. */
export function writeAtomically(file: string, text: string): void {
  const draft = `${file}.${process.pid}.draft`
  const fd = openSync(draft, 'w', 0o600)
  try {
    writeSync(fd, text)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  renameSync(draft, file)
}
