import { useEffect, useState } from 'react'
import type { ContainmentView } from '../../port.ts'
import type { Api } from './api.ts'
import { Awaiting } from './enforcement.tsx'
import { clock, span } from './format.ts'

interface Props {
  readonly containments: readonly ContainmentView[]
  readonly api: Api
  readonly onChanged: () => void
}

export function Containments({ containments, api, onChanged }: Props) {
  const now = useNow()
  const [problem, setProblem] = useState('')
  const active = containments.filter((c) => c.state === 'active' && c.until > now).sort((a, b) => a.until - b.until)
  const release = (id: string) => {
    setProblem('')
    api.release(id).then(onChanged, (error: Error) => setProblem(error.message))
  }
  return (
    <section className="panel containments" aria-label="Active containments">
      <h2>
        Active containments <small>{active.length}</small>
      </h2>
      {problem !== '' && <p role="alert">{problem}</p>}
      {active.length === 0 ? (
        <p className="quiet">nothing is contained</p>
      ) : (
        <table>
          <thead>
            <tr>
              <th>target</th>
              <th>action</th>
              <th>since</th>
              <th>ends by itself in</th>
              <th>enforced after</th>
              <th>why</th>
              <th />
            </tr>
          </thead>
          <tbody>
            {active.map((c) => (
              <tr key={c.id}>
                <td>{c.target}</td>
                <td>{c.action}</td>
                <td>{clock(c.from)}</td>
                <td>{span(c.until - now)}</td>
                <td>
                  {c.enforcedAfterMs === null ? '–' : span(c.enforcedAfterMs)}
                  <Awaiting nodes={c.awaiting} />
                </td>
                <td className="why">{c.reason}</td>
                <td>
                  <button type="button" onClick={() => release(c.id)}>
                    Release
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  )
}

function useNow(): number {
  const [now, setNow] = useState(() => Date.now())
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000)
    return () => clearInterval(timer)
  }, [])
  return now
}
