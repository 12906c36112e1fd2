import type { Command } from 'commander'
import type { ContainmentView, IncidentDetail, Unseen } from '../../console/port.ts'
import type { Action, Finding, Incident } from '../../schemas/index.ts'
import { type Column, cell, span, table, when } from '../output.ts'
import { type ClientFlags, clientCommand, connect } from './client-command.ts'

const columns: readonly Column[] = [
  { title: 'INCIDENT', of: (i: Incident) => i.id.slice(0, 12) },
  { title: 'STATE', of: (i: Incident) => i.state },
  { title: 'SEVERITY', of: (i: Incident) => i.severity },
  { title: 'UPDATED', of: (i: Incident) => when(i.updatedAt) },
  { title: 'FINDINGS', of: (i: Incident) => i.findingCount },
  { title: 'WHAT', of: (i: Incident) => i.title },
]

export function incidentsCommand(incidents: Command): void {
  clientCommand(incidents.command('list', { isDefault: true }).description('every incident, newest last'))
    .option('--state <state>', 'open, contained or closed')
    .action(async (flags: ClientFlags & { state?: string }) => {
      const { client, output } = connect(flags)
      const found = await client.get<{ incidents: Incident[] }>('/api/incidents', { state: flags.state })
      output.list(found.incidents, columns, 'no incidents')
    })
  clientCommand(
    incidents.command('show <id>').description('one incident, with findings, actions, containments, and whether anything was unseen'),
  ).action(async (id: string, flags: ClientFlags) => {
    const { client, output } = connect(flags)
    const path = `/api/incidents/${encodeURIComponent(id)}`
    const [detail, unseen] = await Promise.all([client.get<IncidentDetail>(path), client.get<Unseen>(`${path}/unseen`)])
    output.one({ ...detail, unseen }, `${describe(detail)}\n\n${describeUnseen(unseen)}`)
  })
}

function describe({ incident, findings, actions, containments }: IncidentDetail): string {
  const parts = [
    `${incident.id}  ${incident.state}  ${incident.severity}  confidence ${incident.confidence.toFixed(3)}`,
    cell(incident.title),
    `opened ${when(incident.openedAt)}, updated ${when(incident.updatedAt)}, contained before: ${incident.repetitions}`,
    `about ${incident.targets.map(cell).join(', ')}; ATLAS ${incident.threats.join(', ')}`,
    '',
    table(findings, [
      { title: 'FINDING', of: (f: Finding) => `${f.id.slice(0, 12)}/${f.revision}` },
      { title: 'TIME', of: (f: Finding) => when(f.time) },
      { title: 'DETECTOR', of: (f: Finding) => f.detector },
      { title: 'AFTER', of: (f: Finding) => `${f.eventsSeen} events` },
      { title: 'WHAT', of: (f: Finding) => f.title },
    ]),
    '',
    table(actions, [
      { title: 'ACTION', of: (a: Action) => a.id.slice(0, 12) },
      { title: 'RESPONDER', of: (a: Action) => a.responder },
      { title: 'TARGET', of: (a: Action) => a.target },
      { title: 'STATE', of: (a: Action) => a.state },
      { title: 'NOTE', of: (a: Action) => a.note },
    ]),
    '',
    table(containments, [
      { title: 'CONTAINMENT', of: (c: ContainmentView) => c.id },
      { title: 'STATE', of: (c: ContainmentView) => c.state },
      { title: 'UNTIL', of: (c: ContainmentView) => when(c.until) },
      { title: 'ENFORCED AFTER', of: (c: ContainmentView) => span(c.enforcedAfterMs) },
      { title: 'NOT YET BY', of: (c: ContainmentView) => c.awaiting.join(' ') || null },
    ]),
  ]
  return parts.join('\n')
}

function describeUnseen({ state, answer, from, until, gaps, more, caveats }: Unseen): string {
  const lines = ['Was anything unseen?']
  if (state === 'unknown') return [...lines, answer].map(cell).join('\n')
  lines.push(`${answer}, ${when(from)} to ${until === null ? 'now' : when(until)}${state === 'gaps' ? ':' : '.'}`)
  for (const { from, until, sentence, certain } of gaps) {
    const end = until === null ? ' until now' : until > from ? ` to ${when(until)}` : ''
    lines.push(`${when(from)}${end}  ${sentence}${certain ? '' : ' (may concern this incident)'}`)
  }
  if (more > 0) lines.push(`and ${more} more: cordon query unseen`)
  for (const caveat of caveats) lines.push(`More may come to light: ${caveat}`)
  return lines.map(cell).join('\n')
}
