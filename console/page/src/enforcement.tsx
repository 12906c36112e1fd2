import type { ContainmentView } from '../../port.ts'
import { clock, span } from './format.ts'

/** Which node enforces what since when, and which does not yet. */
export function EnforcementView({ containments }: { containments: readonly ContainmentView[] }) {
  return (
    <section aria-label="Enforcement">
      <h3>Enforced by</h3>
      <table>
        <thead>
          <tr>
            <th>containment</th>
            <th>node</th>
            <th>revision</th>
            <th>since</th>
            <th>after the deciding event</th>
          </tr>
        </thead>
        <tbody>{containments.map(rowsOf)}</tbody>
      </table>
    </section>
  )
}

function rowsOf({ id, action, acknowledgements, awaiting, decidedAt, revision }: ContainmentView) {
  const after = (ms: number | null) =>
    ms === null ? (decidedAt === null ? 'ordered by a person' : 'in force when the node began') : span(ms)
  return [
    ...acknowledgements.map((a) => (
      <tr key={`${id}/${a.node}/${a.revision}/${a.at}`}>
        <td>{action}</td>
        <td>{a.node}</td>
        <td>{a.revision}</td>
        <td>{clock(a.at)}</td>
        <td>{after(a.enforcedAfterMs)}</td>
      </tr>
    )),
    ...awaiting.map((node) => (
      <tr key={`${id}/${node}/awaited`}>
        <td>{action}</td>
        <td>{node}</td>
        <td>{revision}</td>
        <td colSpan={2} className="awaiting">
          not yet
        </td>
      </tr>
    )),
  ]
}

/** Nodes that are alive and do not enforce it yet, as far as they said. */
export function Awaiting({ nodes }: { nodes: readonly string[] }) {
  if (nodes.length === 0) return null
  return <small className="awaiting"> not yet: {nodes.join(', ')}</small>
}
