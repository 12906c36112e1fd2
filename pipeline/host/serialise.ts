import { setImmediate as nextTurn } from 'node:timers/promises'
import type { HostSnapshot } from './snapshot.ts'

/** Longest stretch of work before the event loop gets its turn, milliseconds. */
const stretchMs = 4

/**
 * JSON of a snapshot, made entry by entry so that a large partition does not hold up the requests that the same
 * process serves. The caller sees to it that nothing is applied meanwhile: the states are the live ones.
 */
export async function serialise(snapshot: HostSnapshot): Promise<Buffer> {
  const { entries, ...head } = snapshot
  const parts: Buffer[] = [Buffer.from(`${JSON.stringify(head).slice(0, -1)},"entries":[`)]
  let since = performance.now()
  for (const [index, entry] of entries.entries()) {
    parts.push(Buffer.from((index === 0 ? '' : ',') + JSON.stringify(entry)))
    if (performance.now() - since < stretchMs) continue
    await nextTurn()
    since = performance.now()
  }
  parts.push(Buffer.from(']}'))
  return Buffer.concat(parts)
}
