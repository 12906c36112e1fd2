import { existsSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { type Check, type Result, reasonOf } from './check.ts'

const gigabyte = 1_073_741_824

/** @param free bytes @param spool most bytes of events that may wait there */
export function judgeDisk(free: number, spool: number, place: string): Result {
  const found = `${(free / gigabyte).toFixed(1)} GiB are free at ${place}`
  const advice = 'make room, put dataDir on a larger disk, or lower inference.spoolBytes'
  if (free < spool)
    return { status: 'fail', found: `${found}: less than the spool may take (${(spool / gigabyte).toFixed(1)} GiB)`, advice }
  if (free < spool + 2 * gigabyte) return { status: 'warn', found, advice }
  return { status: 'ok', found }
}

export const diskCheck: Check = {
  id: 'disk',
  title: 'Data directory',
  async run({ config }) {
    const place = present(resolve(config.dataDir))
    try {
      // Trying is the only test that knows of full disks, read-only mounts, quotas and lists of access rights alike.
      const draft = mkdtempSync(join(place, '.doctor-'))
      try {
        writeFileSync(join(draft, 'probe'), Buffer.alloc(4_096))
      } finally {
        rmSync(draft, { recursive: true, force: true })
      }
    } catch (error) {
      return {
        status: 'fail',
        found: `nothing can be written to ${place}: ${reasonOf(error)}`,
        advice: 'give its user the right to write there, make room, or set dataDir elsewhere',
      }
    }
    const { bavail, bsize } = statfsSync(place)
    return judgeDisk(bavail * bsize, config.inference.spoolBytes, place)
  },
}

/** The directory itself, or the nearest one above it that is there: that is where it will be made. */
function present(dir: string): string {
  return existsSync(dir) || dirname(dir) === dir ? dir : present(dirname(dir))
}
