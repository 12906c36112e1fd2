import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BusError } from '../errors.ts'

/*
 * The lock is a directory that holds exactly one file, and the file's name says who holds it: `free`, or
 * `pid-<process>-<start>-<random>`. Taking it is renaming that file, which the kernel does for exactly one taker,
 * also when several find at once that the holder is dead.
 */
const free = 'free'

/**
 * Takes the directory for this process.
 *
 * @returns what gives it back
 * @throws BusError `BUS_LOCKED` where a living process holds it
 */
export function lockDirectory(path: string): () => void {
  mkdirSync(path, { recursive: true })
  const lock = join(path, 'lock')
  const mine = `pid-${process.pid}-${startOf(process.pid)}-${randomBytes(6).toString('hex')}`
  for (let attempt = 0; attempt < 100; attempt++) {
    const holder = holderOf(lock)
    if (holder === undefined) {
      makeLock(path, lock)
      continue
    }
    if (holder !== free && isAlive(holder)) {
      throw new BusError(
        'BUS_LOCKED',
        `opening ${path}: process ${pidOf(holder)} has it open; stop that one, or use another data directory`,
      )
    }
    if (renamed(join(lock, holder), join(lock, mine))) return () => void renamed(join(lock, mine), join(lock, free))
  }
  throw new BusError('BUS_LOCKED', `opening ${path}: others took it again and again; stop them`)
}

function holderOf(lock: string): string | undefined {
  try {
    return readdirSync(lock)[0]
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined
    throw error
  }
}

/** Renaming a whole directory into place never replaces one that has a file in it. */
function makeLock(path: string, lock: string): void {
  const draft = join(path, `lock-${randomBytes(6).toString('hex')}`)
  mkdirSync(draft)
  writeFileSync(join(draft, free), '')
  if (!renamed(draft, lock)) rmSync(draft, { recursive: true })
}

function renamed(from: string, to: string): boolean {
  try {
    renameSync(from, to)
    return true
  } catch (error) {
    if (isCode(error, 'ENOENT') || isCode(error, 'ENOTEMPTY') || isCode(error, 'EEXIST') || isCode(error, 'EPERM')) return false
    throw error
  }
}

function pidOf(holder: string): number {
  return Number(holder.split('-')[1])
}

function isAlive(holder: string): boolean {
  const pid = pidOf(holder)
  if (!Number.isSafeInteger(pid) || pid < 1) return false
  try {
    process.kill(pid, 0)
  } catch (error) {
    if (!isCode(error, 'EPERM')) return false
  }
  return startOf(pid) === holder.split('-')[2]
}

/** When the process began, in the kernel's clock ticks, so that a reused process id is not taken for the holder. Empty where the system does not say. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the command in parentheses and may itself contain both spaces and parentheses.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    return ''
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
