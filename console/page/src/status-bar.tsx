import type { InstanceStatus, InstanceView } from '../../port.ts'
import { clock, span } from './format.ts'

export function StatusBar({ status, connected }: { status: InstanceStatus | null; connected: boolean }) {
  const bad = status?.roles.filter((role) => !role.ok) ?? []
  const gone = status?.instances.filter(({ alive, state }) => !alive && state !== 'stopped') ?? []
  return (
    <header className="status">
      <h1>Cordon</h1>
      <span className={connected && bad.length === 0 ? 'dot good' : 'dot bad'} aria-hidden="true" />
      <output>
        {!connected && 'not connected: what you see may be old'}
        {connected && bad.length > 0 && bad.map((role) => `${role.role}: ${role.summary}`).join(' · ')}
        {connected && bad.length === 0 && 'watching'}
        {connected &&
          bad.length === 0 &&
          gone.length > 0 &&
          ` · gone: ${gone.map(({ role, instance }) => `${role} ${instance}`).join(', ')}`}
      </output>
      {status !== null && (
        <>
          <dl>
            <div title="records that the detectors have not seen yet, and the age of the oldest">
              <dt>detectors behind</dt>
              <dd>{behind(status.lag?.detect, status.lagMs.detect)}</dd>
            </div>
            <div title="records that are not in the store yet, and the age of the oldest">
              <dt>store behind</dt>
              <dd>{behind(status.lag?.sink, status.lagMs.sink)}</dd>
            </div>
            {(status.deadLetters ?? 0) > 0 && (
              <div title="records given up within the last day: cordon dead-letters">
                <dt>dead letters</dt>
                <dd>{status.deadLetters}</dd>
              </div>
            )}
            <div>
              <dt>version</dt>
              <dd>{status.version}</dd>
            </div>
          </dl>
          <Processes instances={status.instances} />
        </>
      )}
    </header>
  )
}

function Processes({ instances }: { instances: readonly InstanceView[] }) {
  const live = instances.filter(({ alive }) => alive).length
  return (
    <details className="processes">
      <summary>{live === 1 ? '1 process' : `${live} processes`}</summary>
      <div className="panel">
        <table>
          <thead>
            <tr>
              <th>role</th>
              <th>process</th>
              <th>up since</th>
              <th>partitions</th>
              <th>what</th>
            </tr>
          </thead>
          <tbody>
            {instances.map((instance) => (
              <tr key={`${instance.role}/${instance.instance}`}>
                <td>{instance.role}</td>
                <td>{instance.instance}</td>
                <td>{clock(instance.startedAt)}</td>
                <td>{instance.assignments.filter(({ standby }) => !standby).length || '–'}</td>
                <td className={instance.alive && instance.ok ? undefined : 'awaiting'}>{state(instance)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  )
}

function state({ alive, state, heardAt, summary }: InstanceView): string {
  if (alive) return summary
  return state === 'stopped' ? `stopped at ${clock(heardAt)}` : `gone: last heard at ${clock(heardAt)}`
}

function behind(records: number | undefined, ms: number): string {
  const count = records ?? '?'
  return ms < 1_000 ? String(count) : `${count} · ${span(ms)}`
}
