import { useEffect, useState } from 'react'
import type { Action, Finding } from '../../../schemas/index.ts'
import type { ContainmentView, IncidentDetail } from '../../port.ts'
import type { Api } from './api.ts'
import { EnforcementView } from './enforcement.tsx'
import { EvidenceView } from './evidence.tsx'
import { clock, percent, span } from './format.ts'
import { UnseenView } from './unseen.tsx'

interface Moment {
  readonly at: number
  readonly what: string
  readonly detail: string
  readonly kind: 'finding' | 'action' | 'containment' | 'enforced'
}

/** What happened, in order: what was seen, what was decided, when it held. */
function timeline({ findings, actions, containments }: IncidentDetail): Moment[] {
  return [
    ...findings.map(
      (f: Finding): Moment => ({
        at: f.time,
        kind: 'finding',
        what: f.title,
        detail: `${f.detector}, ${percent(f.confidence)} sure, after ${f.eventsSeen} events`,
      }),
    ),
    ...actions.map(
      (a: Action): Moment => ({
        at: a.plannedAt,
        kind: 'action',
        what: `${a.responder} on ${a.target}`,
        detail: `${a.state}${a.note === '' ? '' : `: ${a.note}`}`,
      }),
    ),
    ...containments.map(
      (c: ContainmentView): Moment => ({
        at: c.from,
        kind: 'containment',
        what: `${c.action} holds ${c.target}`,
        detail: `until ${clock(c.until)}, ${c.state}`,
      }),
    ),
    ...containments.flatMap((c) =>
      c.acknowledgements.map(
        (a): Moment => ({
          at: a.at,
          kind: 'enforced',
          what: `${a.node} enforces ${c.action}`,
          detail:
            a.enforcedAfterMs === null
              ? c.decidedAt === null
                ? 'ordered by a person'
                : 'already in force when the node began'
              : `${span(a.enforcedAfterMs)} after the deciding event arrived`,
        }),
      ),
    ),
  ].sort((a, b) => a.at - b.at)
}

export function IncidentPage({ id, api, changes }: { id: string; api: Api; changes: number }) {
  const [read, setRead] = useState<{ asOf: number; detail: IncidentDetail } | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  useEffect(() => {
    api.incident(id).then(
      // Answers can overtake each other: the one asked for last stays.
      (answer) => setRead((last) => (last !== null && last.asOf > changes ? last : { asOf: changes, detail: answer })),
      (error: Error) => setProblem(error.message),
    )
  }, [id, api, changes])
  if (read === null) return <section className="panel">{problem ?? 'reading…'}</section>
  const { detail } = read
  const { incident } = detail
  return (
    <section className="panel incident" aria-label="Incident">
      <h2>
        <span className={`badge ${incident.severity}`}>{incident.severity}</span> {incident.title}
      </h2>
      <p className="meta">
        {incident.state} · {percent(incident.confidence)} sure · opened {clock(incident.openedAt)} · ATLAS {incident.threats.join(', ')}
        {incident.repetitions > 0 && ` · contained ${incident.repetitions}× before`}
      </p>
      <ul className="targets">
        {incident.targets.map((target) => (
          <li key={target}>{target}</li>
        ))}
      </ul>
      {detail.actions
        .filter((action) => action.state === 'awaiting-approval')
        .map((action) => (
          <Approval key={action.id} action={action} api={api} />
        ))}
      <h3>Evidence</h3>
      {newest(detail.findings).map((finding) => (
        <EvidenceView key={finding.id} finding={finding} />
      ))}
      <UnseenView id={incident.id} findings={detail.findings} api={api} />
      {detail.containments.length > 0 && <EnforcementView containments={detail.containments} />}
      <h3>Timeline</h3>
      <ol className="timeline">
        {timeline(detail).map((moment, i) => (
          <li key={`${moment.at}-${i}`} className={moment.kind}>
            <time dateTime={new Date(moment.at).toISOString()}>{clock(moment.at)}</time>
            <span>{moment.what}</span>
            <small>{moment.detail}</small>
          </li>
        ))}
      </ol>
    </section>
  )
}

function Approval({ action, api }: { action: Action; api: Api }) {
  const [problem, setProblem] = useState('')
  return (
    <p className="approval">
      <span>
        {action.responder} on {action.target} waits for a person: {action.note}
      </span>
      <button type="button" onClick={() => void api.approve(action.id).catch((error: Error) => setProblem(error.message))}>
        Approve
      </button>
      {problem}
    </p>
  )
}

/** The last revision of each finding. */
function newest(findings: readonly Finding[]): Finding[] {
  return [...new Map(findings.map((finding) => [finding.id, finding])).values()]
}
