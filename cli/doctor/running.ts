import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { lockDirectory } from '../../bus/embedded/lock.ts'
import { BusError } from '../../bus/errors.ts'
import type { Instant } from '../../schemas/index.ts'
import { InstanceFile } from '../client.ts'
import type { Config } from '../config/schema.ts'
import type { ClockReader } from './clock-reading.ts'
import { jsonOf, reach } from './reach.ts'

const Health = z.object({ roles: z.array(z.object({ role: z.string(), ok: z.boolean(), summary: z.string() })) })

/** An instance that lives. */
export interface Running extends InstanceFile {
  /** What it says of its roles; null where its console does not answer. */
  readonly roles: readonly { readonly role: string; readonly ok: boolean; readonly summary: string }[] | null
}

/** The instance that wrote its file into the data directory; null where there is none, or its process is gone. */
export async function findRunning({ dataDir }: Config, context: ClockReader): Promise<Running | null> {
  let file: InstanceFile
  try {
    file = InstanceFile.parse(JSON.parse(readFileSync(join(dataDir, 'instance.json'), 'utf8')))
    if (!isAlive(file.pid)) return null
  } catch {
    return null
  }
  const answer = await reach(`${file.console}/health`, context).catch(() => null)
  const health = Health.safeParse(jsonOf(answer?.body ?? ''))
  // The process of another program may have its number by now: only who answers is ours.
  return health.success ? { ...file, roles: health.data.roles } : isRecent(file, context.now()) ? { ...file, roles: null } : null
}

/**
 * Who has the log of the data directory open, in words; null where nobody does. To be asked before anything opens it: the lock
 * is taken for a moment, and given back.
 */
export function holderOf({ dataDir, bus }: Config): string | null {
  const log = join(dataDir, 'log')
  if (bus.adapter !== 'embedded' || !existsSync(log)) return null
  try {
    lockDirectory(log)()
    return null
  } catch (error) {
    // What else is wrong with it is found by opening it.
    return error instanceof BusError && error.code === 'BUS_LOCKED' ? error.message : null
  }
}

/** Of the last minute: it may still be starting. */
function isRecent({ startedAt }: InstanceFile, now: Instant): boolean {
  return now - startedAt < 60_000
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
