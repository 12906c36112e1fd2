import { type AttackResult, Attempt, type Oracle, type Target } from './oracle.ts'
import type { Random } from './random.ts'
import { lead } from './square.ts'

export interface PatchSearchOptions {
  readonly random: Random
  readonly budget: number
  /** One square of free content, or several bars of one grey each. */
  readonly kind?: 'patch' | 'bars'
  /** Side of the patch, or length of a bar, in pixels. */
  readonly size?: number
  readonly bars?: number
  readonly side?: number
}

interface Mark {
  readonly top: number
  readonly left: number
  readonly height: number
  readonly width: number
  readonly ink: number
}

/**
 * Random search over what is painted onto the image: few pixels, changed without bound. After Croce, Andriushchenko,
 * Singh, Flammarion and Hein, "Sparse-RS: a versatile framework for query-efficient sparse black-box adversarial
 * attacks", AAAI 2022 (patches), and Giulivi et al., "Adversarial scratches", Pattern Recognition 2023 (bars).
 */
export function patchSearch(oracle: Oracle, target: Target, options: PatchSearchOptions): Promise<AttackResult> {
  const { random, kind = 'patch', size = kind === 'patch' ? 8 : 14, bars = 3, side = 28 } = options
  const attempt = new Attempt(oracle, target, options.budget)
  const fresh = kind === 'patch' ? () => patchMarks(side, size, random) : () => Array.from({ length: bars }, () => bar(side, size, random))
  const changed = kind === 'patch' ? nextPatch : nextBars
  const painted = (marks: readonly Mark[]) => {
    const image = target.source.slice()
    for (const mark of marks) paint(image, side, mark)
    return image
  }
  return attempt.run(async () => {
    let marks = fresh()
    let best = lead((await attempt.ask(painted(marks))).probabilities, target.label)
    for (let iteration = 0; best > 0; iteration++) {
      const candidate = changed(marks, side, size, random, iteration / options.budget)
      const score = lead((await attempt.ask(painted(candidate))).probabilities, target.label)
      if (score >= best) continue
      best = score
      marks = candidate
    }
  })
}

function paint(image: Float32Array, side: number, { top, left, height, width, ink }: Mark): void {
  for (let row = top; row < Math.min(side, top + height); row++)
    image.fill(ink, row * side + left, row * side + Math.min(side, left + width))
}

function bar(side: number, length: number, random: Random): Mark {
  const thick = 1 + random.below(2)
  const upright = random.next() < 0.5
  const [height, width] = upright ? [length, thick] : [thick, length]
  return { top: random.below(side - height + 1), left: random.below(side - width + 1), height, width, ink: random.next() < 0.7 ? 1 : 0 }
}

/** A square in blocks of two pixels, black or white, somewhere near the middle: the first mark is its ground. */
function patchMarks(side: number, size: number, random: Random): Mark[] {
  const top = 4 + random.below(side - size - 7)
  const left = 4 + random.below(side - size - 7)
  const marks = [{ top, left, height: size, width: size, ink: 0 }]
  for (let row = 0; row < size; row += 2)
    for (let column = 0; column < size; column += 2)
      marks.push({ top: top + row, left: left + column, height: 2, width: 2, ink: random.below(2) })
  return marks
}

/** Moves the patch, further at the beginning, or turns a square block of it to one shade. */
function nextPatch(marks: readonly Mark[], side: number, size: number, random: Random, progress: number): Mark[] {
  const [ground] = marks
  if (ground === undefined) return []
  if (random.next() < 0.35) {
    const reach = Math.max(1, Math.round(6 * (1 - progress)))
    const shift = () => random.below(2 * reach + 1) - reach
    const dy = Math.min(side - size, Math.max(0, ground.top + shift())) - ground.top
    const dx = Math.min(side - size, Math.max(0, ground.left + shift())) - ground.left
    return marks.map((mark) => ({ ...mark, top: mark.top + dy, left: mark.left + dx }))
  }
  const span = 2 + random.below(size / 2)
  const [top, left] = [ground.top + random.below(size), ground.left + random.below(size)]
  const ink = random.below(2)
  return marks.map((mark, i) => {
    const inside = mark.top >= top && mark.top < top + span && mark.left >= left && mark.left < left + span
    return i > 0 && inside ? { ...mark, ink } : mark
  })
}

/** Replaces one bar, or shifts it. */
function nextBars(marks: readonly Mark[], side: number, size: number, random: Random, progress: number): Mark[] {
  const chosen = random.below(marks.length)
  const shifted = (mark: Mark) => ({
    ...mark,
    top: Math.min(side - mark.height, Math.max(0, mark.top + random.below(7) - 3)),
    left: Math.min(side - mark.width, Math.max(0, mark.left + random.below(7) - 3)),
  })
  return marks.map((mark, i) => (i !== chosen ? mark : random.next() < progress + 0.2 ? shifted(mark) : bar(side, size, random)))
}
