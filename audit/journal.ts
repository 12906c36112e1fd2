import { closeSync, fsyncSync, openSync, readFileSync, renameSync, unlinkSync, writeFileSync, writeSync } from 'node:fs'
import { z } from 'zod'
import { Instant, Name } from '../schemas/index.ts'
import type { ChainState } from './chain.ts'
import { logForm } from './record.ts'

const Hash = z.string().regex(/^[A-Za-z0-9+/]{43}=$/)
const Base = z.object({
  writer: Name,
  log: z.string().regex(logForm),
  size: z.int().min(0),
  head: Hash,
  subtrees: z.array(Hash).max(53),
  publicKey: Hash,
  /** Names the run of the machine in which it was written; null where the machine does not tell. */
  boot: z.string().max(64).nullable(),
  at: Instant,
})
/** Where the writer stood when the journal began. */
export type JournalBase = Omit<z.infer<typeof Base>, keyof ChainState> & ChainState

/** First byte of a journal: whether whoever wrote it is still at it (or was killed), ended in order, or could not write. */
const flags = { open: 'O', closed: 'C', broken: 'B' } as const
type JournalFlag = keyof typeof flags

export interface JournalFound {
  readonly flag: JournalFlag
  readonly base: JournalBase
  /** Records written since, whole ones. */
  readonly lines: readonly string[]
}

/** What an earlier process left; null where there is none, `damaged` where it cannot be read. */
export function readJournal(path: string): JournalFound | 'damaged' | null {
  try {
    const text = readFileSync(path, 'utf8')
    const lines = text.split('\n')
    // What follows the last newline is a record that was cut off as it was written; nobody was given it.
    lines.pop()
    const [first = '', ...rest] = lines
    const flag = (Object.keys(flags) as JournalFlag[]).find((name) => flags[name] === first[0])
    const base = Base.safeParse(JSON.parse(first.slice(1)))
    return flag === undefined || !base.success ? 'damaged' : { flag, base: base.data, lines: rest }
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? null : 'damaged'
  }
}

/**
 * What was written since the last checkpoint, and where the log stood there. A record is in it (in the page cache) before it is
 * handed on, so a process that was killed is followed by one that knows the last record which anybody can have seen, and
 * goes on from there: no kill forks a log. A power cut may take from it what others have; then a new log begins.
 */
export class Journal {
  readonly #path: string
  #file: number

  /** Begins a journal in place of the one that is there, whole or not at all. @throws what the file system throws */
  constructor(path: string, base: JournalBase, lines: readonly string[] = []) {
    const draft = `${path}.draft`
    const file = openSync(draft, 'w', 0o600)
    try {
      writeFileSync(file, `${flags.open}${JSON.stringify(base)}\n${lines.map((line) => `${line}\n`).join('')}`)
      renameSync(draft, path)
    } catch (error) {
      closeSync(file)
      throw error
    }
    this.#path = path
    this.#file = file
  }

  /** Appends a line with its newline; false where the disk did not take it, from when on the journal says that it is not whole. */
  append(bytes: Buffer): boolean {
    if (this.#file < 0) return false
    try {
      if (writeSync(this.#file, bytes) === bytes.length) return true
    } catch {
      // The disk is full, or gone.
    }
    this.#spoil()
    return false
  }

  /** Nothing more will come; `isWhole` whether it holds all. On the disk itself when it returns, so that a power cut later changes nothing. */
  close(isWhole: boolean): void {
    const file = this.#file
    if (file < 0) return
    this.#file = -1
    if (isWhole) {
      writeSync(file, flags.closed, 0)
      fsyncSync(file)
    }
    closeSync(file)
  }

  /** Overwriting a byte takes no room; where even that fails, no journal is as good as one that says so. */
  #spoil(): void {
    const file = this.#file
    this.#file = -1
    try {
      writeSync(file, flags.broken, 0)
    } catch {
      try {
        unlinkSync(this.#path)
      } catch {
        // Then only the power-cut check is left.
      }
    }
    closeSync(file)
  }
}
