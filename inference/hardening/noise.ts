import { uniforms, type Words } from './prf.ts'

/** How much of its lead over another class the top one keeps at least. */
const leadKept = 0.05
/** How far from one the sum of probabilities may be. */
const sumTolerance = 0.01

/**
 * Probabilities mixed with a distribution that the seed draws: `(1 − λ)p + λd`. They stay probabilities with the same sum, change
 * by 2λ in sum (L1) at most, and the top class stays the top class; where its lead is small, λ is too.
 *
 * Numbers that are no probabilities (negative, or of another sum than one) are left as they are.
 *
 * @param row written over
 * @param most L1, 0..0.1
 * @param seed the same for the same input, or averaging were a way around it
 */
export function addNoise(row: Float32Array | Float64Array, most: number, seed: Words): void {
  const classes = row.length
  let [sum, top] = [0, 0]
  for (let i = 0; i < classes; i++) {
    const value = row[i] as number
    if (!(value >= 0)) return
    sum += value
    if (value > (row[top] as number)) top = i
  }
  if (!(Math.abs(sum - 1) <= sumTolerance)) return
  const uniform = uniforms(seed)
  const drawn = draw(classes, uniform)
  // How much, too, is drawn: of a sure answer noise can only take, and what it always took could be given back.
  const share = Math.min((uniform() * most) / 2, bearable(row, drawn, top))
  for (let i = 0; i < classes; i++) row[i] = (1 - share) * (row[i] as number) + share * sum * (drawn[i] as number)
}

/** Few classes get most of it: noise on all of them alike could be taken off again. */
function draw(classes: number, uniform: () => number): Float64Array {
  const drawn = new Float64Array(classes)
  let total = 0
  for (let i = 0; i < classes; i++) {
    const weight = Math.log(uniform()) ** 2
    drawn[i] = weight
    total += weight
  }
  for (let i = 0; i < classes; i++) drawn[i] = (drawn[i] as number) / total
  return drawn
}

/** The most λ with which the top class keeps its place: `(1 − λ)·lead > λ·gain` for each other. */
function bearable(row: Float32Array | Float64Array, drawn: Float64Array, top: number): number {
  let share = 1
  for (let i = 0; i < row.length; i++) {
    if (i === top) continue
    const lead = (row[top] as number) - (row[i] as number)
    const gain = (drawn[i] as number) - (drawn[top] as number)
    if (gain > 0) share = Math.min(share, ((1 - leadKept) * lead) / (lead + gain))
  }
  return share
}
