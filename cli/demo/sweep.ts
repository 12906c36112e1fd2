import type { Random } from '../../test/attacks/random.ts'

const side = 28

/**
 * What a thief without data sends: drawn bars, rings and blots over the whole input space, to read the model's answers
 * off a grid.
 */
export function sweepImage(random: Random): Float32Array {
  const image = new Float32Array(side * side)
  const marks = 2 + random.below(4)
  for (let m = 0; m < marks; m++) {
    const cx = random.between(2, side - 2)
    const cy = random.between(2, side - 2)
    const radius = random.between(2, 9)
    const kind = random.below(3)
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const dx = x - cx
        const dy = y - cy
        const inside =
          kind === 0
            ? Math.abs(dx) < radius && Math.abs(dy) < 2
            : kind === 1
              ? Math.abs(Math.hypot(dx, dy) - radius) < 1.2
              : Math.hypot(dx, dy) < radius / 2
        if (inside) image[y * side + x] = random.between(0.5, 1)
      }
    }
  }
  return image
}
