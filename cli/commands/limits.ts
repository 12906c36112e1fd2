import type { Command } from 'commander'
import type { LimitView } from '../../console/port.ts'
import type { Share } from '../../schemas/index.ts'
import { type Column, cell, table, when } from '../output.ts'
import { type ClientFlags, clientCommand, connect } from './client-command.ts'

const ruleColumns: readonly Column[] = [
  { title: 'LIMIT', of: (l: LimitView) => l.name },
  { title: 'OVER', of: (l: LimitView) => l.over },
  { title: 'AMOUNT', of: (l: LimitView) => `${l.amount} ${l.measure}` },
  { title: 'WINDOW', of: (l: LimitView) => l.window },
  { title: 'BURST', of: (l: LimitView) => l.burst },
  { title: 'APPLIES TO', of: (l: LimitView) => (l.match.length === 0 ? 'all' : l.match.join(' ')) },
]

const lineColumns: readonly Column[] = [
  { title: '  NODE', of: (l: Share['lines'][number]) => `  ${l.node}` },
  { title: 'GRANTED', of: (l: Share['lines'][number]) => rounded(l.granted - l.released) },
  { title: 'SPENT', of: (l: Share['lines'][number]) => rounded(l.spent) },
  { title: 'SAID', of: (l: Share['lines'][number]) => when(l.at) },
]

export function limitsCommand(limits: Command): void {
  clientCommand(limits.command('list', { isDefault: true }).description('the limits in force')).action(async (flags: ClientFlags) => {
    const { client, output } = connect(flags)
    const { limits: found } = await client.get<{ limits: LimitView[] }>('/api/limits')
    output.list(found, ruleColumns, 'no limits: write some under limits.rules in the configuration')
  })
  clientCommand(
    limits
      .command('show <subject>')
      .description('what a principal, a key, an organization or a model spent of its limits, and how they are shared out among nodes'),
  ).action(async (subject: string, flags: ClientFlags) => {
    const { client, output } = connect(flags)
    const { shares } = await client.get<{ shares: Share[] }>('/api/limits/shares', { subject })
    if (flags.json === true) output.list(shares, [], '')
    else
      output.one(shares, shares.length === 0 ? `nothing of ${cell(subject)} is counted in any window now` : shares.map(shown).join('\n\n'))
  })
}

function shown({ rule, ceiling, left, gone, end, lines }: Share): string {
  const spent = lines.reduce((sum, line) => sum + line.spent, gone)
  const head = `${rule}: ${rounded(spent)} of ${rounded(ceiling)} spent, ${rounded(left)} granted to no node yet, begins anew at ${when(end)}`
  return `${head}\n${table(lines, lineColumns)}`
}

/** Costs are sums of small numbers. */
function rounded(amount: number): number {
  return Number(amount.toPrecision(9))
}
