import { type AttackResult, Attempt, type Oracle, type Target } from './oracle.ts'
import type { Random } from './random.ts'
import { lead } from './square.ts'

export interface SquareL2Options {
  readonly random: Random
  readonly budget: number
  /** L2 bound, all of it spent at every step. */
  readonly epsilon?: number
  readonly share?: number
  readonly side?: number
}

/**
 * Square attack, L2 variant: score-based random search that moves the norm of the change between windows, each
 * shaped as a pair of centred pyramids of opposite sign. Andriushchenko, Croce, Flammarion and Hein, ECCV 2020, alg. 3.
 */
export function squareL2(oracle: Oracle, target: Target, options: SquareL2Options): Promise<AttackResult> {
  const { random, epsilon = 3, share = 0.2, side = 28 } = options
  const attempt = new Attempt(oracle, target, options.budget)
  const { source } = target
  const within = (delta: Float32Array) => {
    const factor = epsilon / Math.max(1e-9, Math.hypot(...delta))
    return source.map((value, i) => Math.min(1, Math.max(0, value + factor * (delta[i] ?? 0))))
  }
  return attempt.run(async () => {
    let delta = tiles(side, random)
    let best = lead((await attempt.ask(within(delta))).probabilities, target.label)
    for (let iteration = 0; best > 0; iteration++) {
      const size = Math.max(3, Math.round(Math.sqrt(share * 0.5 ** Math.floor((6 * iteration) / options.budget)) * side))
      const candidate = moved(delta, side, size, random)
      const score = lead((await attempt.ask(within(candidate))).probabilities, target.label)
      if (score < best) {
        best = score
        delta = candidate
      }
    }
  })
}

/** A grid of pyramids that fills the image. */
function tiles(side: number, random: Random): Float32Array {
  const size = Math.ceil(side / 5)
  const out = new Float32Array(side * side)
  for (let top = 0; top < side; top += size) for (let left = 0; left < side; left += size) stamp(out, side, { top, left, size }, random, 1)
  return out
}

/** One window takes over the norm of another, which is emptied, and of what it held itself. */
function moved(delta: Float32Array, side: number, size: number, random: Random): Float32Array {
  const out = delta.slice()
  const place = () => ({ top: random.below(side - size + 1), left: random.below(side - size + 1), size })
  const [from, to] = [place(), place()]
  const norm = Math.hypot(drain(out, side, from), drain(out, side, to))
  stamp(out, side, to, random, Math.max(norm, 0.1 * Math.hypot(...delta)))
  return out
}

interface Window {
  readonly top: number
  readonly left: number
  readonly size: number
}

/** Empties a window; its L2 norm. */
function drain(delta: Float32Array, side: number, { top, left, size }: Window): number {
  let squared = 0
  for (let row = top; row < top + size; row++)
    for (let column = left; column < left + size; column++) {
      squared += (delta[row * side + column] ?? 0) ** 2
      delta[row * side + column] = 0
    }
  return Math.sqrt(squared)
}

/** Puts a two-signed pyramid of a given norm into a window; what lies outside the image is cut. */
function stamp(delta: Float32Array, side: number, { top, left, size }: Window, random: Random, norm: number): void {
  const upright = random.next() < 0.5
  const sign = random.next() < 0.5 ? -1 : 1
  const middle = (size - 1) / 2
  const height = (row: number, column: number) => {
    const [along, across] = upright ? [row, column] : [column, row]
    const half = size / 4
    const near = along < size / 2 ? half : size - half
    return (along < size / 2 ? sign : -sign) / (1 + Math.max(Math.abs(along - near), Math.abs(across - middle)))
  }
  let squared = 0
  for (let row = 0; row < size; row++) for (let column = 0; column < size; column++) squared += height(row, column) ** 2
  for (let row = 0; row < size && top + row < side; row++)
    for (let column = 0; column < size && left + column < side; column++) {
      delta[(top + row) * side + left + column] = (norm * height(row, column)) / Math.sqrt(squared)
    }
}
