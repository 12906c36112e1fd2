import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PolicyError } from './errors.ts'
import type { PolicyFile } from './policy-set.ts'

const maxFiles = 256
const maxBytes = 4_194_304

/** The policies that are in force where none are configured. */
export const defaultFolder = fileURLToPath(new URL('../deploy/policies', import.meta.url))

/**
 * Reads each `*.cedar` of a folder, not of those in it, in the order of their names.
 *
 * @throws PolicyError `POLICIES_UNREADABLE`
 */
export function readPolicies(folder: string): readonly PolicyFile[] {
  return filesOf(folder, '.cedar')
}

/** @param ending of the files' names @throws PolicyError `POLICIES_UNREADABLE` */
export function filesOf(folder: string, ending: string): readonly PolicyFile[] {
  try {
    const names = readdirSync(folder)
      .filter((name) => name.endsWith(ending) && !name.startsWith('.'))
      .sort()
    if (names.length > maxFiles) throw new RangeError(`it has ${names.length} files ${ending}; at most ${maxFiles} are read`)
    let bytes = 0
    return names.map((name) => {
      const path = join(folder, name)
      bytes += statSync(path).size
      if (bytes > maxBytes) throw new RangeError(`its files ${ending} have more than ${maxBytes} bytes`)
      return { name: path, text: readFileSync(path, 'utf8') }
    })
  } catch (cause) {
    throw new PolicyError('POLICIES_UNREADABLE', `reading the policies in ${folder}: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    })
  }
}
