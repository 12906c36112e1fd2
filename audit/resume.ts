import { z } from 'zod'
import type { Instant } from '../schemas/index.ts'
import { Chain } from './chain.ts'
import type { JournalBase, JournalFound } from './journal.ts'
import type { KeyFile } from './key-file.ts'
import type { Opened } from './record.ts'

/** How a process goes on from what an earlier one left. */
export interface Resumed {
  /** The log that goes on; null where a new one begins. */
  readonly chain: Chain | null
  readonly reason: Opened['reason']
  readonly after: Opened['after']
  /** Records that may not have been handed on before the earlier process ended, and the log that they are of. */
  readonly log: string
  readonly lines: readonly { readonly line: string; readonly at: Instant }[]
}

export interface ResumeOptions {
  readonly found: JournalFound | 'damaged' | null
  readonly boot: string | null
  readonly writer: string
  readonly keys: KeyFile
}

const Line = z.object({ at: z.number(), kind: z.string(), publicKey: z.string().optional() })

/** Takes the writer's next key where the earlier process had made its change known already. */
export function resume({ found, boot, writer, keys }: ResumeOptions): Resumed {
  if (found === null) return { chain: null, reason: 'new', after: null, log: '', lines: [] }
  if (found === 'damaged') return { chain: null, reason: 'damaged', after: null, log: '', lines: [] }
  const { base, flag } = found
  let { chain, lines } = follow(base, found.lines)
  // The last before one that does not follow is not sure to be what was written: only its successor knew its hash.
  if (lines.length < found.lines.length) ({ chain, lines } = follow(base, found.lines.slice(0, Math.max(0, lines.length - 1))))
  const publicKey = lines.findLast(({ kind }) => kind === 'key')?.publicKey ?? base.publicKey
  if (keys.next?.publicKey === publicKey) keys.take()
  const isKnown = lines.length === found.lines.length && flag !== 'broken' && keys.current.publicKey === publicKey
  const sameRun = flag === 'closed' || (boot !== null && base.boot === boot)
  const after = { log: chain.log, size: chain.size, head: chain.head }
  const rest = { after, log: chain.log, lines }
  if (!isKnown) return { ...rest, chain: null, reason: 'damaged' }
  if (!sameRun) return { ...rest, chain: null, reason: 'power-cut' }
  if (base.writer !== writer) return { ...rest, chain: null, reason: 'new' }
  return { ...rest, chain, reason: flag === 'closed' ? 'continued' : 'recovered' }
}

function follow(base: JournalBase, given: readonly string[]) {
  const chain = new Chain(base)
  const lines: (z.infer<typeof Line> & { readonly line: string })[] = []
  for (const line of given) {
    const read = lineOf(line)
    if (read === undefined || !chain.take(line)) break
    lines.push({ ...read, line })
  }
  return { chain, lines }
}

function lineOf(line: string): z.infer<typeof Line> | undefined {
  try {
    return Line.safeParse(JSON.parse(line)).data
  } catch {
    return undefined
  }
}
