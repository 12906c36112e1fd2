import { side } from '../benign/image.ts'
import type { Random } from './random.ts'

/** Strokes of capital letters as polylines on a grid of 0–4 across and 0–6 down; a space lifts the pen. */
const strokes: Readonly<Record<string, string>> = {
  A: '062046 1434',
  B: '000636453403 0030413303',
  C: '41301001051636 3645',
  D: '0006364541300000',
  E: '40000646 0333',
  F: '400006 0333',
  G: '41301001051636454323',
  H: '0006 4046 0343',
  J: '4045361605',
  K: '0006 4003 1446',
  L: '000646',
  M: '0600234046',
  N: '06004640',
  P: '0600304142330303',
  R: '06003041423303 2346',
  T: '0040 2026',
  U: '00051636454040',
  V: '002640',
  W: '0016233640',
  X: '0046 4006',
  Y: '002340 2326',
  Z: '00400646',
}
const alphabet = Object.values(strokes)

interface Segment {
  readonly x0: number
  readonly y0: number
  readonly x1: number
  readonly y1: number
}

/** A handwritten-looking capital: the skeleton sheared, turned, scaled and shaken, drawn with a pen of varying width. */
export function letter(random: Random): Float32Array {
  const angle = 0.15 * random.normal()
  const shear = 0.15 * random.normal()
  const size = random.between(2.6, 3.4)
  const middle = side / 2
  const wobble = () => 0.35 * random.normal()
  const place = (x: number, y: number) => {
    const u = (x - 2 + shear * (3 - y)) * size * 1.15 + wobble()
    const v = (y - 3) * size + wobble()
    return { x: middle + u * Math.cos(angle) - v * Math.sin(angle), y: middle + u * Math.sin(angle) + v * Math.cos(angle) }
  }
  const segments: Segment[] = []
  for (const line of random.pick(alphabet).split(' ')) {
    const points = (line.match(/../g) ?? []).map((pair) => place(Number(pair[0]), Number(pair[1])))
    for (let i = 1; i < points.length; i++) {
      const [from, to] = [points[i - 1], points[i]]
      if (from !== undefined && to !== undefined) segments.push({ x0: from.x, y0: from.y, x1: to.x, y1: to.y })
    }
  }
  return drawn(segments, random.between(1, 1.6))
}

/** Ink within the pen's width of a segment, fading over one pixel. */
function drawn(segments: readonly Segment[], pen: number): Float32Array {
  return Float32Array.from({ length: side * side }, (_, i) => {
    const x = (i % side) + 0.5
    const y = Math.floor(i / side) + 0.5
    let nearest = Number.POSITIVE_INFINITY
    for (const s of segments) nearest = Math.min(nearest, distanceTo(s, x, y))
    return Math.min(1, Math.max(0, pen + 0.5 - nearest))
  })
}

function distanceTo({ x0, y0, x1, y1 }: Segment, x: number, y: number): number {
  const [dx, dy] = [x1 - x0, y1 - y0]
  const length = dx * dx + dy * dy
  const t = length === 0 ? 0 : Math.min(1, Math.max(0, ((x - x0) * dx + (y - y0) * dy) / length))
  return Math.hypot(x - x0 - t * dx, y - y0 - t * dy)
}
