import type { Finding } from '../../../schemas/index.ts'
import type { Rate } from './api.ts'
import { clock } from './format.ts'

const width = 1_000
const height = 90
const stepMs = 10_000
const steps = 90
/** The detectors of `isGap`, which itself would bring the contracts' library into the page. */
const gapDetectors = new Set(['blindness', 'coverage'])

/** Requests a second over the last quarter of an hour: served below, refused above, findings as marks. */
export function RateChart({ rates, now, findings }: { rates: readonly Rate[]; now: number; findings: readonly Finding[] }) {
  const end = Math.max(now, ...rates.map((rate) => rate.at))
  const start = Math.floor(end / stepMs) * stepMs - (steps - 1) * stepMs
  const served = new Array<number>(steps).fill(0)
  const refused = new Array<number>(steps).fill(0)
  for (const { at, outcome, events } of rates) {
    const i = Math.floor((at - start) / stepMs)
    if (i < 0 || i >= steps) continue
    const into = outcome === 'served' ? served : refused
    into[i] = (into[i] ?? 0) + events / (stepMs / 1_000)
  }
  const top = Math.max(1, ...served.map((s, i) => s + (refused[i] ?? 0)))
  const bar = width / steps
  const marks = findings.filter((finding) => !gapDetectors.has(finding.detector) && finding.time >= start)
  return (
    <section className="panel rates" aria-label="Event rate">
      <h2>
        Requests a second <small>peak {top.toFixed(top < 10 ? 1 : 0)}</small>
        <span className="legend">
          <i className="served" /> served <i className="refused" /> refused <i className="mark" /> finding
        </span>
      </h2>
      <svg
        viewBox={`0 0 ${width} ${height}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`requests a second from ${clock(start)} to ${clock(end)}`}
      >
        {served.map((s, i) => {
          const r = refused[i] ?? 0
          const low = (s / top) * (height - 10)
          const high = (r / top) * (height - 10)
          return (
            <g key={start + i * stepMs}>
              <rect className="served" x={i * bar} width={bar - 1} y={height - low} height={low} />
              <rect className="refused" x={i * bar} width={bar - 1} y={height - low - high} height={high} />
            </g>
          )
        })}
        {marks.map((finding) => (
          <line
            key={`${finding.id}/${finding.revision}`}
            className="mark"
            x1={((finding.time - start) / (steps * stepMs)) * width}
            x2={((finding.time - start) / (steps * stepMs)) * width}
            y1="0"
            y2={height}
          />
        ))}
      </svg>
    </section>
  )
}
