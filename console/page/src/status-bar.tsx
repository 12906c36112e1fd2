import type { InstanceStatus } from '../../port.ts'

export function StatusBar({ status, connected }: { status: InstanceStatus | null; connected: boolean }) {
  const bad = status?.roles.filter((role) => !role.ok) ?? []
  return (
    <header className="status">
      <h1>Cordon</h1>
      <span className={connected && bad.length === 0 ? 'dot good' : 'dot bad'} aria-hidden="true" />
      <output>
        {!connected && 'not connected: what you see may be old'}
        {connected && bad.length === 0 && 'watching'}
        {connected && bad.length > 0 && bad.map((role) => `${role.role}: ${role.summary}`).join(' · ')}
      </output>
      {status !== null && (
        <dl>
          <div title="records that the detectors have not seen yet">
            <dt>detectors behind</dt>
            <dd>{status.lag.detect}</dd>
          </div>
          <div title="records that are not in the store yet">
            <dt>store behind</dt>
            <dd>{status.lag.sink}</dd>
          </div>
          <div>
            <dt>version</dt>
            <dd>{status.version}</dd>
          </div>
        </dl>
      )}
    </header>
  )
}
