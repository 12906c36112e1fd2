import { useEffect, useState } from 'react'
import type { Finding } from '../../../schemas/index.ts'
import type { Unseen, UnseenGap } from '../../port.ts'
import type { Api } from './api.ts'
import { clock } from './format.ts'

const width = 1_000
const height = 26
/** What is looked up in the store is asked again this often: gaps are stated when their minute is over. */
const everyMs = 15_000

interface Props {
  readonly id: string
  readonly findings: readonly Finding[]
  readonly api: Api
}

/** Whether we were watching while the incident went on. */
export function UnseenView({ id, findings, api }: Props) {
  const [unseen, setUnseen] = useState<Unseen | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  const [askedAt, setAskedAt] = useState(0)
  useEffect(() => {
    let current = true
    const ask = () => {
      const settle = (answer: Unseen | null, error: string | null) => {
        if (!current) return
        setUnseen(answer)
        setProblem(error)
        setAskedAt(Date.now())
      }
      api.unseen(id).then(
        (answer) => settle(answer, null),
        (error: Error) => settle(null, error.message),
      )
    }
    ask()
    const timer = setInterval(ask, everyMs)
    return () => {
      current = false
      clearInterval(timer)
    }
  }, [id, api])
  return (
    <section className="unseen" aria-label="Was anything unseen?">
      <h3>Was anything unseen?</h3>
      {problem !== null && <p role="alert">Cannot tell: {problem}</p>}
      {problem === null && unseen === null && <p className="quiet">looking…</p>}
      {unseen !== null && <Answer unseen={unseen} findings={findings} now={askedAt} />}
    </section>
  )
}

function Answer({ unseen, findings, now }: { unseen: Unseen; findings: readonly Finding[]; now: number }) {
  const { state, answer, from, until, gaps, more, caveats } = unseen
  const span = `${clock(from)} to ${until === null ? 'now' : clock(until)}`
  return (
    <>
      {state === 'unknown' && <p role="alert">{answer}</p>}
      {state === 'watched' && (
        <p>
          <span className="dot good" aria-hidden="true" /> {answer}, {span}.
        </p>
      )}
      {state === 'gaps' && (
        <>
          <Axis from={from} until={until ?? Math.max(now, from + 1)} unseen={unseen} findings={findings} />
          <p className="ends">
            <small>{clock(from)}</small>
            <small>{until === null ? 'now' : clock(until)}</small>
          </p>
          <p>{answer}:</p>
          <ul>
            {gaps.map((gap) => (
              <li key={keyOf(gap)}>
                <time dateTime={new Date(gap.from).toISOString()}>
                  {clock(gap.from)}
                  {gap.until === null ? ' – now' : gap.until > gap.from && ` – ${clock(gap.until)}`}
                </time>{' '}
                {gap.sentence} {!gap.certain && <small>may concern this incident</small>}
              </li>
            ))}
          </ul>
          {more > 0 && <p className="quiet">and {more} more: cordon query unseen</p>}
        </>
      )}
      {state !== 'unknown' &&
        caveats.map((caveat) => (
          <p key={caveat} role="alert">
            More may come to light: {caveat}
          </p>
        ))}
    </>
  )
}

/** The incident's time from left to right: bands are gaps, marks are findings. */
function Axis({ from, until, unseen, findings }: { from: number; until: number; unseen: Unseen; findings: readonly Finding[] }) {
  const x = (at: number) => Math.min(1, Math.max(0, (at - from) / Math.max(1, until - from))) * width
  return (
    <svg
      viewBox={`0 0 ${width} ${height}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={`${unseen.gaps.length} gaps from ${clock(from)} to ${clock(until)}`}
    >
      <rect className="watched" x="0" width={width} y="0" height={height} />
      {unseen.gaps.map((gap) => (
        <rect
          key={keyOf(gap)}
          className={gap.blind ? 'gap blind' : gap.unknown ? 'gap unknown' : 'gap'}
          x={Math.min(x(gap.from), width - 4)}
          width={Math.max(4, x(gap.until ?? until) - x(gap.from))}
          y="0"
          height={height}
        />
      ))}
      {findings
        .filter((finding) => finding.time >= from && finding.time <= until)
        .map((finding) => (
          <line key={`${finding.id}/${finding.revision}`} className="mark" x1={x(finding.time)} x2={x(finding.time)} y1="0" y2={height} />
        ))}
    </svg>
  )
}

function keyOf({ from, until, sentence }: UnseenGap): string {
  return `${from}/${until}/${sentence}`
}
