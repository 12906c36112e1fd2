import type { Incident } from '../../../schemas/index.ts'
import { clock } from './format.ts'

interface Props {
  readonly incidents: readonly Incident[]
  readonly chosen: string | null
  readonly onChoose: (id: string) => void
}

export function IncidentQueue({ incidents, chosen, onChoose }: Props) {
  return (
    <section className="panel queue" aria-label="Incidents">
      <h2>
        Incidents <small>{incidents.length}</small>
      </h2>
      {incidents.length === 0 && <p className="quiet">none</p>}
      <ul>
        {incidents.slice(0, 200).map((incident) => (
          <li key={incident.id}>
            <button type="button" aria-current={incident.id === chosen} onClick={() => onChoose(incident.id)}>
              <span className={`badge ${incident.severity}`}>{incident.severity}</span>
              <span className="title">{incident.title}</span>
              <span className="meta">
                {incident.state} · {clock(incident.updatedAt)} · {incident.findingCount} finding{incident.findingCount === 1 ? '' : 's'}
              </span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  )
}
