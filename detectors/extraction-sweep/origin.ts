import { type Memory, principalOf } from './memory.ts'

/** Squared distance against the mean squared length: 0.4 for two patches, or two draws of noise, on one input; 1.4 for inputs of one's own. */
const alike = 0.8
/**
 * Share of what two inputs have in common that lies outside the model's principal subspace. What an ordinary input is varied from
 * is ordinary: a third. What is no such input has in common what makes it none: four fifths, as noise, textures or a frame do.
 */
const outsideShare = 0.6
/** It may be more where they are nearer, since patches that overlap have the patch in common, too. */
const moreWhereNear = 0.25
const mostOutside = 0.68

/** Queries back: a row of patches, and the one above is near. */
const mostBack = 7

/**
 * Whether an odd query and one of the last are variations of one ordinary input, however far they were taken from it:
 * explanations cover parts of it, votes add noise. Both lie far outside ordinary traffic, and what they share does not.
 */
export function sharesOrigin(memory: Memory, values: Float32Array): boolean {
  if (memory.width !== values.length) return false
  for (let n = 1; n <= Math.min(mostBack, memory.recent); n++) if (shares(memory, memory.last(n), values)) return true
  return false
}

function shares(memory: Memory, row: number, values: Float32Array): boolean {
  const { cells, width } = memory
  const step = memory.read(row, 'step')
  const principal = principalOf(width)
  let [inside, outside, lengths] = [0, 0, 0]
  for (let i = 0; i < width; i++) {
    const a = values[i] as number
    const b = (cells[row * width + i] as number) * step
    lengths += a * a + b * b
    if (i < principal) inside += a * b
    else outside += a * b
  }
  const common = inside + outside
  const apart = (2 * (lengths - 2 * common)) / Math.max(lengths, 1e-9)
  const allowed = Math.min(mostOutside, outsideShare + moreWhereNear * (alike - apart))
  return apart <= alike && outside <= allowed * common
}
