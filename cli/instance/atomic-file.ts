import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from 'node:fs'

/** Writes a small file whole or not at all, whenever the process is killed; readable by its owner alone. */
export function writeAtomically(file: string, text: string): void {
  const draft = `${file}.${process.pid}.draft`
  const fd = openSync(draft, 'w', 0o600)
  try {
    // Not writeSync: on a full disk that may write a part of it and say so only in what it returns.
    writeFileSync(fd, text)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  renameSync(draft, file)
}
