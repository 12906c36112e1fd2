import { z } from 'zod'
import type { Check, Result } from './check.ts'

/** Connections of clients and of upstreams, files of the log and the store: below that a busy node runs out. */
const enough = 4_096

const Limits = z.object({ userLimits: z.object({ open_files: z.object({ soft: z.union([z.number(), z.string()]) }) }) })

/** @param soft `ulimit -n` as Node has it, which has raised it to the hard limit at its start */
export function judgeDescriptors(soft: number | string): Result {
  if (soft === 'unlimited' || Number(soft) >= enough) return { status: 'ok', found: `${soft} may be open at once` }
  return {
    status: 'warn',
    found: `${soft} may be open at once`,
    advice: `allow ${enough} or more: \`ulimit -Hn\`, LimitNOFILE= of systemd, --ulimit nofile= of Docker`,
  }
}

export const descriptorCheck: Check = {
  id: 'descriptors',
  title: 'File descriptors',
  async run() {
    if (process.report === undefined || process.platform === 'win32') return { status: 'ok', found: 'not limited here' }
    // Else it looks up the name of every peer.
    Object.assign(process.report, { excludeNetwork: true })
    const report = Limits.safeParse(process.report.getReport())
    return report.success ? judgeDescriptors(report.data.userLimits.open_files.soft) : { status: 'ok', found: 'not known here' }
  },
}
