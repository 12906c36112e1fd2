/** Most values that principal directions have; wider inputs are pooled to at most so many. */
const mostReduced = 3_072

/**
 * Mean pooling of an input over square blocks, each cell scaled by the root of its size. As a matrix its rows are orthonormal,
 * so that directions found among pooled inputs are directions among inputs, and lengths along them are the same.
 */
export interface Reduction {
  /** Values of an input, and of a pooled one. */
  readonly width: number
  readonly reduced: number
  /** `[width]`: the cell that a value goes to, and what it is multiplied by; null where nothing is pooled. */
  readonly cells: { readonly of: Int32Array; readonly factor: Float32Array } | null
}

/** An input as rows, columns and channels, and how far apart neighbours of each lie. */
interface Plane {
  readonly sizes: readonly [rows: number, columns: number, channels: number]
  readonly strides: readonly [rows: number, columns: number, channels: number]
}

/** The smallest side of blocks that makes an input narrow enough. Values of one channel are pooled together. */
export function blockFor(shape: readonly number[]): number {
  const { sizes } = planeOf(shape)
  let block = 1
  while (cellsOf(sizes, block).reduce((a, b) => a * b, 1) > mostReduced) block++
  return block
}

/**
 * @param shape of one input: `[height, width, channels]`, `[channels, height, width]` where the first is the small one,
 * `[height, width]`, or any other, which is taken as one row
 * @param block side of the blocks; 1 pools nothing
 */
export function reductionOf(shape: readonly number[], block: number): Reduction {
  const { sizes, strides } = planeOf(shape)
  const width = sizes[0] * sizes[1] * sizes[2]
  if (block === 1) return { width, reduced: width, cells: null }
  const [down, across, channels] = cellsOf(sizes, block)
  const of = new Int32Array(width)
  const counts = new Int32Array(down * across * channels)
  for (let row = 0; row < sizes[0]; row++) {
    for (let column = 0; column < sizes[1]; column++) {
      for (let channel = 0; channel < channels; channel++) {
        const cell = (Math.floor(row / block) * across + Math.floor(column / block)) * channels + channel
        of[row * strides[0] + column * strides[1] + channel * strides[2]] = cell
        counts[cell] = (counts[cell] as number) + 1
      }
    }
  }
  return { width, reduced: counts.length, cells: { of, factor: Float32Array.from(of, (cell) => 1 / Math.sqrt(counts[cell] as number)) } }
}

/** @param out `[reduced]` */
export function reduce({ cells }: Reduction, x: Float64Array, out: Float64Array): void {
  if (cells === null) {
    out.set(x)
    return
  }
  const { of, factor } = cells
  out.fill(0)
  for (let i = 0; i < of.length; i++) {
    const cell = of[i] as number
    out[cell] = (out[cell] as number) + (x[i] as number) * (factor[i] as number)
  }
}

/** The input whose pooled form this is, and which has nothing beside it. @param out `[width]` */
export function expand({ cells }: Reduction, pooled: Float64Array, out: Float64Array): void {
  if (cells === null) {
    out.set(pooled)
    return
  }
  const { of, factor } = cells
  for (let i = 0; i < of.length; i++) out[i] = (pooled[of[i] as number] as number) * (factor[i] as number)
}

function planeOf(shape: readonly number[]): Plane {
  const [a = 1, b = 1, c = 1] = shape
  if (shape.length === 2) return { sizes: [a, b, 1], strides: [b, 1, 1] }
  if (shape.length !== 3) return { sizes: [1, shape.reduce((product, size) => product * size, 1), 1], strides: [1, 1, 1] }
  if (a <= 4 && c > 4) return { sizes: [b, c, a], strides: [c, 1, b * c] }
  return { sizes: [a, b, c], strides: [b * c, c, 1] }
}

/** Cells down, across and in depth. */
function cellsOf([rows, columns, channels]: Plane['sizes'], block: number): Plane['sizes'] {
  return [Math.ceil(rows / block), Math.ceil(columns / block), channels]
}
