import { type AttackResult, Attempt, type Oracle, type Target } from '../attacks/oracle.ts'
import type { Random } from '../attacks/random.ts'
import { lead, squareAttack } from '../attacks/square.ts'
import type { AttackSuite } from './suites.ts'

interface RandomSearchOptions {
  readonly random: Random
  readonly budget: number
  /** Bound of the change in any pixel. */
  readonly epsilon: number
  readonly start: 'stripes' | 'rows' | 'noise' | 'clean'
  readonly shape: 'square' | 'bar' | 'spots' | 'bump'
  readonly side?: number
}

/**
 * Random search as Square does it, in the forms that its users vary: where it begins, and what it changes. A square
 * or a bar of ±epsilon, scattered spots, or a soft bump (as the L2 variant adds).
 */
function randomSearch(oracle: Oracle, target: Target, options: RandomSearchOptions): Promise<AttackResult> {
  const { epsilon, side = 28 } = options
  const attempt = new Attempt(oracle, target, options.budget)
  const bounded = (delta: Float32Array) => target.source.map((value, i) => Math.min(1, Math.max(0, value + (delta[i] ?? 0))))
  return attempt.run(async () => {
    let delta = begun(options, target.source.length, side)
    let best = lead((await attempt.ask(bounded(delta))).probabilities, target.label)
    for (let tried = 0; best > 0; tried++) {
      const size = Math.max(2, Math.round((side / 2) * (1 - tried / options.budget) ** 2))
      const candidate = changed(delta, options, size, side)
      for (let i = 0; i < candidate.length; i++) candidate[i] = Math.max(-epsilon, Math.min(epsilon, candidate[i] ?? 0))
      const score = lead((await attempt.ask(bounded(candidate))).probabilities, target.label)
      if (score >= best) continue
      best = score
      delta = candidate
    }
  })
}

function begun({ start, epsilon, random }: RandomSearchOptions, width: number, side: number): Float32Array {
  const signs = Float32Array.from({ length: width }, () => (random.next() < 0.5 ? -epsilon : epsilon))
  if (start === 'clean') return new Float32Array(width)
  if (start === 'noise') return signs
  return signs.map((_, i) => signs[start === 'rows' ? Math.floor(i / side) : i % side] ?? 0)
}

function changed(delta: Float32Array, { shape, epsilon, random }: RandomSearchOptions, size: number, side: number): Float32Array {
  const out = delta.slice()
  const value = random.next() < 0.5 ? -epsilon : epsilon
  const upright = random.next() < 0.5
  const [height, width] = shape === 'bar' ? (upright ? [side, Math.ceil(size / 4)] : [Math.ceil(size / 4), side]) : [size, size]
  const top = random.below(side - height + 1)
  const left = random.below(side - width + 1)
  for (let k = 0; k < height * width; k++) {
    const row = Math.floor(k / width)
    const column = k % width
    const at = (top + row) * side + left + column
    if (shape === 'spots') out[random.below(out.length)] = value
    else if (shape === 'bump') out[at] = (out[at] ?? 0) + 2 * value * hump(row, height) * hump(column, width)
    else out[at] = value
  }
  return out
}

function hump(i: number, size: number): number {
  return Math.sin((Math.PI * (i + 1)) / (size + 1))
}

/** Forms of random search beside the published one. Their bound is epsilon, so whatever is misread counts. */
export const searchSuites: readonly AttackSuite[] = [
  form('search, squares from clean', 'clean', 'square'),
  form('search, bumps from clean', 'clean', 'bump'),
  form('search, squares from noise', 'noise', 'square'),
  form('search, bars from rows', 'rows', 'bar'),
  form('search, spots from stripes', 'stripes', 'spots'),
  {
    name: 'square, small steps',
    tuned: true,
    run: (oracle, { target, random, budget }) => squareAttack(oracle, target, { random, budget, epsilon: random.between(0.05, 0.2) }),
  },
]

function form(name: string, start: RandomSearchOptions['start'], shape: RandomSearchOptions['shape']): AttackSuite {
  return {
    name,
    tuned: true,
    run: (oracle, { target, random, budget }) =>
      randomSearch(oracle, target, { random, budget, epsilon: random.between(0.1, 0.4), start, shape }),
  }
}
