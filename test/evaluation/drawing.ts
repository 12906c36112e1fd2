import { escaped } from './html.ts'
import type { Curve, Line } from './results.ts'

const [width, height] = [420, 240]
const [left, right, top, bottom] = [44, 8, 8, 34]
const colours = 8

/** Curves as a self-contained drawing; colours are classes of the page's style sheet. */
export function drawn({ title, across, up, lines }: Curve): string {
  const shown = lines.filter(({ points }) => points.length > 0)
  const [xs, ys] = [0, 1].map((axis) => shown.flatMap(({ points }) => points.map((point) => point[axis] ?? 0)))
  const [mostX, mostY] = [ceiling(xs ?? []), ceiling(ys ?? [])]
  const x = (value: number) => round(left + (value / mostX) * (width - left - right))
  const y = (value: number) => round(height - bottom - (value / mostY) * (height - top - bottom))
  const parts = [
    ...ticks(mostX).map((value) => `<text x="${x(value)}" y="${height - 18}" class="tick" text-anchor="middle">${escaped(value)}</text>`),
    ...ticks(mostY).map(
      (value) =>
        `<line x1="${left}" x2="${width - right}" y1="${y(value)}" y2="${y(value)}" class="grid"/><text x="${left - 4}" y="${y(value) + 4}" class="tick" text-anchor="end">${escaped(value)}</text>`,
    ),
    ...shown.map((line, i) => path(line, i, mostX, x, y)),
    `<text x="${(left + width) / 2}" y="${height - 4}" class="tick" text-anchor="middle">${escaped(across)}</text>`,
  ]
  const legend = shown.map(({ name, dashed }, i) => `<li class="c${i % colours}">${dashed ? '┄' : '━'} ${escaped(name)}</li>`)
  const label = `${title}: ${up} against ${across}`
  return `<figure><figcaption>${escaped(title)} <small>${escaped(up)}</small></figcaption><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(label)}">${parts.join('')}</svg><ul>${legend.join('')}</ul></figure>`
}

/** The line goes on level to the end of the axis: what was not found stays so. */
function path({ points, dashed }: Line, i: number, mostX: number, x: (value: number) => number, y: (value: number) => number): string {
  const last = points.at(-1)
  const whole = last === undefined || last[0] >= mostX ? points : [...points, [mostX, last[1]] as const]
  const to = whole.map(([px, py]) => `${x(px)},${y(py)}`).join(' ')
  return `<polyline points="${to}" class="line c${i % colours}"${dashed ? ' stroke-dasharray="4 3"' : ''}/>`
}

function ticks(most: number): number[] {
  return [0, 0.25, 0.5, 0.75, 1].map((share) => Number((share * most).toPrecision(3)))
}

/** The next of 1, 2 or 5 times a power of ten. */
function ceiling(values: readonly number[]): number {
  const most = values.reduce((a, b) => Math.max(a, b), 0)
  if (most <= 0 || !Number.isFinite(most)) return 1
  const power = 10 ** Math.floor(Math.log10(most))
  return (([1, 2, 5, 10].find((step) => step * power >= most) ?? 10) as number) * power
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
