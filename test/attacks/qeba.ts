import { hopSkipJump } from './hopskipjump.ts'
import type { AttackResult, Oracle, Target } from './oracle.ts'
import type { Random } from './random.ts'
import { Waves } from './waves.ts'

export interface QebaOptions {
  readonly random: Random
  readonly budget: number
  readonly start?: Float32Array
  readonly directions?: number
  /** Cosine waves (the paper's QEBA-F), or a coarse grid enlarged bilinearly (QEBA-S). */
  readonly subspace?: 'waves' | 'enlarged'
  /** Frequencies, or cells, a side. */
  readonly cut?: number
  readonly side?: number
}

/**
 * QEBA: a boundary attack whose normal is estimated from probes in a small subspace.
 * Li, Xu, Zhang, Yang and Li, "QEBA: query-efficient boundary-based blackbox attack", CVPR 2020.
 */
export function qeba(oracle: Oracle, target: Target, options: QebaOptions): Promise<AttackResult> {
  const { random, budget, start, directions = 30, subspace = 'waves', cut = 8, side = 28 } = options
  const waves = new Waves(side, cut)
  const direction = subspace === 'waves' ? () => waves.direction(random) : () => enlarged(side, cut, random)
  return hopSkipJump(oracle, target, { random, budget, directions, direction, ...(start && { start }) })
}

/** Normal values on a `cut × cut` grid, enlarged to the whole image. */
function enlarged(side: number, cut: number, random: Random): Float32Array {
  const grid = Float32Array.from({ length: cut * cut }, () => random.normal())
  const factor = (cut - 1) / (side - 1)
  const at = (row: number, column: number) => grid[Math.min(cut - 1, row) * cut + Math.min(cut - 1, column)] ?? 0
  return Float32Array.from({ length: side * side }, (_, i) => {
    const y = Math.floor(i / side) * factor
    const x = (i % side) * factor
    const [row, column] = [Math.floor(y), Math.floor(x)]
    const [fy, fx] = [y - row, x - column]
    const upper = (1 - fx) * at(row, column) + fx * at(row, column + 1)
    const lower = (1 - fx) * at(row + 1, column) + fx * at(row + 1, column + 1)
    return (1 - fy) * upper + fy * lower
  })
}
