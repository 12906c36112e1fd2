import type { Instant } from '../../../schemas/index.ts'
import { HostError } from '../errors.ts'
import { snapshotFormat } from './snapshot.ts'

/** The beginning of an entry's line, see `entryLine`: a quotation mark within a key is escaped. */
const entry = /^\{"detector":"[^"]*","key":"(?:[^"\\]|\\.)*","order":\d+,"touched":(\d+),/
const head = new RegExp(`^\\{"format":${snapshotFormat},`)

/**
 * When the oldest key of a snapshot was last touched, whichever detectors it is of: infinity where it has no keys, null where it
 * cannot be read.
 */
export async function oldestKey(lines: AsyncIterable<readonly string[]>): Promise<Instant | null> {
  let oldest = Number.POSITIVE_INFINITY
  let headed = false
  try {
    for await (const some of lines) {
      for (const line of some) {
        if (!headed && !head.test(line)) return null
        headed = true
        const touched = entry.exec(line)?.[1]
        if (touched !== undefined) oldest = Math.min(oldest, Number(touched))
      }
    }
  } catch (error) {
    if (error instanceof HostError && error.code === 'SNAPSHOT_CORRUPT') return null
    throw error
  }
  return headed ? oldest : null
}
