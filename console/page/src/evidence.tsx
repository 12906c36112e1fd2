import type { Finding } from '../../../schemas/index.ts'
import { pathColumns, pathOf, SearchPath } from './search-path.tsx'

type Value = Finding['evidence'][string]

/** A path as a drawing, series of numbers as curves, everything else as a table: what the detector based its statement on. */
export function EvidenceView({ finding }: { finding: Finding }) {
  const path = pathOf(finding)
  const drawn: readonly string[] = path === null ? [] : pathColumns
  const entries = Object.entries(finding.evidence).filter(([name]) => !drawn.includes(name))
  const series = entries.filter((entry): entry is [string, number[]] => isSeries(entry[1]))
  const facts = entries.filter((entry) => !isSeries(entry[1]))
  return (
    <div className="evidence">
      <p>
        <strong>{finding.detector}</strong> v{finding.version}: {finding.title}
      </p>
      {path !== null && <SearchPath path={path} />}
      <div className="curves">
        {series.map(([name, values]) => (
          <Curve key={name} name={name} values={values} />
        ))}
      </div>
      <dl>
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{words(name)}</dt>
            <dd>{text(value)}</dd>
          </div>
        ))}
      </dl>
    </div>
  )
}

function isSeries(value: Value): value is number[] {
  return Array.isArray(value) && value.length > 1 && value.every((v) => typeof v === 'number')
}

const width = 220
const height = 56

function Curve({ name, values }: { name: string; values: readonly number[] }) {
  const low = Math.min(0, ...values)
  const high = Math.max(...values, low + 1e-9)
  const x = (i: number) => (i / (values.length - 1)) * (width - 8) + 4
  const y = (v: number) => height - 4 - ((v - low) / (high - low)) * (height - 8)
  return (
    <figure>
      <svg viewBox={`0 0 ${width} ${height}`} role="img" aria-label={`${words(name)}: ${values.map(short).join(', ')}`}>
        <polyline points={values.map((v, i) => `${x(i)},${y(v)}`).join(' ')} />
        {values.length <= 64 && values.map((v, i) => <circle key={`${i}-${v}`} cx={x(i)} cy={y(v)} r="2" />)}
      </svg>
      <figcaption>
        {words(name)} <small>max {short(high)}</small>
      </figcaption>
    </figure>
  )
}

function short(value: number): string {
  return Number.isInteger(value) ? value.toLocaleString('en') : value.toPrecision(3)
}

/** camelCase as words. */
function words(name: string): string {
  return name.replaceAll(/([A-Z])/g, ' $1').toLowerCase()
}

function text(value: Value): string {
  if (Array.isArray(value)) return value.map((v) => (typeof v === 'number' ? short(v) : v)).join(', ')
  if (typeof value === 'number') return short(value)
  return value === null ? '–' : String(value)
}
