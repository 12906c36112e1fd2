/** How the answers of a principal, or of a model, are made less telling. */
export interface Hardener {
  readonly level: 'rounded' | 'label-only'
  /** Digits after the point, for `rounded`. */
  readonly decimals: number
}

/** The stricter of two; fewer decimals are stricter. */
export function stricter(a: Hardener, b: Hardener): Hardener {
  if (a.level !== b.level) return a.level === 'label-only' ? a : b
  return a.decimals <= b.decimals ? a : b
}

/**
 * Hardened probabilities. A function of the answer alone, so that asking again teaches nothing; the top class
 * stays the top class.
 *
 * @param output `[items, classes]`, row-major
 */
export function harden(output: Float32Array, classes: number, { level, decimals }: Hardener): number[] {
  const scale = 10 ** decimals
  const hardened = new Array<number>(output.length)
  for (let row = 0; row < output.length; row += classes) {
    const top = topOf(output, row, classes)
    for (let i = row; i < row + classes; i++) {
      hardened[i] = level === 'label-only' ? Number(i === top) : Math.round((output[i] ?? 0) * scale) / scale
    }
    if (level === 'rounded') keepTop(hardened, row, classes, top, scale)
  }
  return hardened
}

function topOf(output: ArrayLike<number>, row: number, classes: number): number {
  let top = row
  for (let i = row + 1; i < row + classes; i++) if ((output[i] ?? 0) > (output[top] ?? 0)) top = i
  return top
}

/** Rounding may tie the top class with another that stands before it: the top class gets one step more. */
function keepTop(hardened: number[], row: number, classes: number, top: number, scale: number): void {
  if (topOf(hardened, row, classes) !== top) hardened[top] = (Math.round((hardened[top] ?? 0) * scale) + 1) / scale
}
