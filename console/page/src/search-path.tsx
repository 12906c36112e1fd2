import type { Finding } from '../../../schemas/index.ts'

/** The columns of a path, as near-duplicate-probing states them: all of one length, oldest first. */
interface Path {
  readonly order: readonly number[]
  readonly parents: readonly number[]
  readonly x: readonly number[]
  readonly y: readonly number[]
  readonly labels: readonly number[]
  readonly margins: readonly number[]
  readonly principal: readonly number[]
  readonly by: readonly string[]
}

export const pathColumns = ['order', 'parents', 'x', 'y', 'labels', 'principal', 'by', 'anchor'] as const

const numeric = ['order', 'parents', 'x', 'y', 'labels', 'margins', 'principal'] as const

/** The path that a finding tells of; null where it tells of none, or not whole. */
export function pathOf({ evidence }: Finding): Path | null {
  const columns = numeric.map((name) => evidence[name])
  const by = evidence['by']
  const length = Array.isArray(columns[0]) ? columns[0].length : 0
  if (length < 2 || !Array.isArray(by)) return null
  const whole = columns.every((column) => Array.isArray(column) && column.length === length && column.every((v) => typeof v === 'number'))
  if (!whole) return null
  const [order, parents, x, y, labels, margins, principal] = columns as number[][]
  if (!order || !parents || !x || !y || !labels || !margins || !principal) return null
  return { order, parents, x, y, labels, margins, principal, by: by.map(String) }
}

const width = 460
const height = 240
const edge = 18

/**
 * Queries as points in the plane in which they differ most, each joined to the one that it is a near-duplicate of. The fill says
 * what the model read, the number who asked, and a point is the larger the less sure the model was.
 */
export function SearchPath({ path }: { path: Path }) {
  const { order, parents, x, y, labels, margins, principal, by } = path
  const at = placer(x, y)
  const index = new Map(order.map((seq, i) => [seq, i]))
  const classes = [...new Set(labels)]
  const fill = (label: number) => `label-${classes.indexOf(label) % 6}`
  return (
    <figure className="path">
      <svg
        viewBox={`0 0 ${width} ${height}`}
        role="img"
        aria-label={`${order.length} queries of ${by.length} accounts, read as ${classes.join(', ')}`}
      >
        {order.map((seq, i) => {
          const parent = index.get(parents[i] ?? 0)
          if (parent === undefined) return null
          const [x1, y1] = at(parent)
          const [x2, y2] = at(i)
          return <line key={seq} x1={x1} y1={y1} x2={x2} y2={y2} />
        })}
        {order.map((seq, i) => {
          const [cx, cy] = at(i)
          const who = by[principal[i] ?? 0] ?? ''
          return (
            <g key={seq}>
              <title>{`query ${i + 1} of ${order.length} by ${who}: read as ${labels[i]}, margin ${(margins[i] ?? 0).toPrecision(2)}`}</title>
              <circle className={fill(labels[i] ?? 0)} cx={cx} cy={cy} r={4 + 4 * (1 - Math.min(1, margins[i] ?? 1))} />
              {by.length > 1 && (
                <text x={cx} y={cy - 9}>
                  {(principal[i] ?? 0) + 1}
                </text>
              )}
            </g>
          )
        })}
      </svg>
      <figcaption>
        {classes.map((label) => (
          <span key={label}>
            <i className={fill(label)} /> read as {label}
          </span>
        ))}
        {by.length > 1 && <small>{by.map((name, i) => `${i + 1} ${name}`).join(', ')}</small>}
      </figcaption>
    </figure>
  )
}

/** One scale for both directions, so that angles are true. */
function placer(x: readonly number[], y: readonly number[]): (i: number) => readonly [number, number] {
  const [left, right, low, high] = [Math.min(...x), Math.max(...x), Math.min(...y), Math.max(...y)]
  const scale = Math.min((width - 2 * edge) / Math.max(right - left, 1e-9), (height - 2 * edge) / Math.max(high - low, 1e-9))
  const [cx, cy] = [(left + right) / 2, (low + high) / 2]
  return (i) => [width / 2 + ((x[i] ?? 0) - cx) * scale, height / 2 - ((y[i] ?? 0) - cy) * scale]
}
