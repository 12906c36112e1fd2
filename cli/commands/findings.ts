import type { Command } from 'commander'
import { type Finding, toOcsf } from '../../schemas/index.ts'
import { parseInstant } from '../duration.ts'
import { type Column, when } from '../output.ts'
import { type ClientFlags, clientCommand, connect } from './client-command.ts'

const columns: readonly Column[] = [
  { title: 'TIME', of: (f: Finding) => when(f.time) },
  { title: 'SEVERITY', of: (f: Finding) => f.severity },
  { title: 'CONFIDENCE', of: (f: Finding) => f.confidence.toFixed(3) },
  { title: 'DETECTOR', of: (f: Finding) => f.detector },
  { title: 'AFTER', of: (f: Finding) => `${f.eventsSeen} events` },
  { title: 'WHO', of: (f: Finding) => f.principals.join(' ') || f.workload || f.pool || f.scope },
  { title: 'WHAT', of: (f: Finding) => f.title },
]

export function findingsCommand(findings: Command, version: string): void {
  clientCommand(findings)
    .option('--principal <name>', 'only those about this principal')
    .option('--detector <id>', 'only those of this detector')
    .option('--since <time>', 'ISO 8601, milliseconds, or 1h for an hour ago')
    .option('--limit <n>', 'at most so many, the newest', '1000')
    .option('--follow', 'go on printing as they come')
    .option('--ocsf', 'with --json: as OCSF 1.8.0 Detection Findings')
    .action(
      async (
        flags: ClientFlags & { principal?: string; detector?: string; since?: string; limit: string; follow?: boolean; ocsf?: boolean },
      ) => {
        const { client, output } = connect(flags)
        const shape = (finding: Finding): object => (flags.ocsf === true ? toOcsf(finding, version) : finding)
        const query = {
          principal: flags.principal,
          detector: flags.detector,
          since: flags.since === undefined ? undefined : String(parseInstant(flags.since, Date.now())),
          limit: flags.limit,
        }
        if (flags.follow !== true) {
          const { findings } = await client.get<{ findings: Finding[] }>('/api/findings', query)
          output.list(flags.json === true ? findings.map(shape) : findings, columns, 'no findings')
          return
        }
        const abort = new AbortController()
        process.once('SIGINT', () => abort.abort())
        for await (const finding of client.follow<Finding>('/api/findings/stream', query, abort.signal)) {
          output.one(shape(finding), `${when(finding.time)}  ${finding.severity}  ${finding.detector}  ${finding.title}`)
        }
      },
    )
}
