import type { Command } from 'commander'
import { z } from 'zod'
import { detectors } from '../../detectors/registry.ts'
import { type Column, openOutput } from '../output.ts'

interface Described {
  readonly id: string
  readonly version: number
  readonly summary: string
  readonly threats: readonly string[]
  readonly observes: readonly string[]
  /** JSON Schema of the parameters. */
  readonly params: object
}

const columns: readonly Column[] = [
  { title: 'DETECTOR', of: (d: Described) => `${d.id} v${d.version}` },
  { title: 'READS', of: (d: Described) => d.observes.join(' ') },
  { title: 'ATLAS', of: (d: Described) => d.threats.join(' ') },
  { title: 'SUMMARY', of: (d: Described) => d.summary },
]

export function detectorsCommand(command: Command): void {
  command.option('--json', 'print JSON: one object a line').action((flags: { json?: boolean }) => {
    const described = detectors.map(
      ({ id, version, summary, threats, observes, params }): Described => ({
        id,
        version,
        summary,
        threats,
        observes,
        params: z.toJSONSchema(params, { io: 'input', unrepresentable: 'any' }),
      }),
    )
    openOutput(flags.json === true, (line) => process.stdout.write(`${line}\n`)).list(described, columns, 'no detectors')
  })
}
