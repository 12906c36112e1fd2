import type { Random } from '../attacks/random.ts'

/** Transformations of square grey images, `[side, side]` row-major in 0..1, that ordinary clients make. */
export const side = 28

const clip = (value: number) => Math.min(1, Math.max(0, value))

export interface Pose {
  /** Radians, counter-clockwise. */
  readonly angle?: number
  readonly scale?: number
  /** Pixels. */
  readonly dx?: number
  readonly dy?: number
  readonly shear?: number
}

/** Rotation, zoom, shear and shift about the centre, bilinear, paper outside. */
export function warp(image: Float32Array, pose: Pose): Float32Array {
  const { angle = 0, scale = 1, dx = 0, dy = 0, shear = 0 } = pose
  const cos = Math.cos(angle) / scale
  const sin = Math.sin(angle) / scale
  const middle = (side - 1) / 2
  const at = (row: number, column: number) =>
    row < 0 || column < 0 || row >= side || column >= side ? 0 : (image[row * side + column] ?? 0)
  return Float32Array.from({ length: side * side }, (_, i) => {
    const x0 = (i % side) - middle - dx
    const y0 = Math.floor(i / side) - middle - dy
    const x = cos * (x0 + shear * y0) + sin * y0 + middle
    const y = -sin * x0 + cos * y0 + middle
    const column = Math.floor(x)
    const row = Math.floor(y)
    const fx = x - column
    const fy = y - row
    return (
      (1 - fy) * ((1 - fx) * at(row, column) + fx * at(row, column + 1)) +
      fy * ((1 - fx) * at(row + 1, column) + fx * at(row + 1, column + 1))
    )
  })
}

/** Independent Gaussian noise in every pixel, as a sensor adds it. */
export function noisy(image: Float32Array, sigma: number, random: Random): Float32Array {
  return image.map((value) => clip(value + sigma * random.normal()))
}

/** Contrast about mid-grey, then brightness. */
export function exposed(image: Float32Array, contrast: number, brightness: number): Float32Array {
  return image.map((value) => clip((value - 0.5) * contrast + 0.5 + brightness))
}

/** Rounds to a number of grey levels. */
export function quantised(image: Float32Array, levels: number): Float32Array {
  return image.map((value) => Math.round(value * (levels - 1)) / (levels - 1))
}

/** 3×3 box blur mixed in by `amount`. */
export function blurred(image: Float32Array, amount: number): Float32Array {
  return image.map((value, i) => {
    const row = Math.floor(i / side)
    const column = i % side
    let sum = 0
    for (let r = row - 1; r <= row + 1; r++)
      for (let c = column - 1; c <= column + 1; c++) sum += r < 0 || c < 0 || r >= side || c >= side ? 0 : (image[r * side + c] ?? 0)
    return value + amount * (sum / 9 - value)
  })
}

/**
 * What JPEG does to a grey image: 8×8 cosine transform, coefficients rounded to multiples that grow with
 * frequency and fall with quality (1 to 100), and back. Blocks at the edge are cut.
 */
export function recoded(image: Float32Array, quality: number): Float32Array {
  const out = new Float32Array(image.length)
  const strength = (quality < 50 ? 50 / quality : 2 - quality / 50) / 255
  for (let top = 0; top < side; top += 8) for (let left = 0; left < side; left += 8) recodeBlock(image, out, top, left, strength)
  return out.map(clip)
}

const waves = Array.from({ length: 8 }, (_, k) =>
  Float64Array.from({ length: 8 }, (__, x) => Math.sqrt((k === 0 ? 1 : 2) / 8) * Math.cos((Math.PI * (2 * x + 1) * k) / 16)),
)

function recodeBlock(image: Float32Array, out: Float32Array, top: number, left: number, strength: number): void {
  for (let u = 0; u < 8; u++) {
    for (let v = 0; v < 8; v++) {
      let sum = 0
      for (let y = 0; y < 8; y++)
        for (let x = 0; x < 8; x++) {
          if (top + y >= side || left + x >= side) continue
          sum += (image[(top + y) * side + left + x] ?? 0) * (waves[u]?.[y] ?? 0) * (waves[v]?.[x] ?? 0)
        }
      // The luminance table of the standard's annex K is close to this ramp.
      const unit = Math.max(1e-6, strength * (10 + 8 * (u + v)))
      const kept = Math.round(sum / unit) * unit
      for (let y = 0; y < 8; y++)
        for (let x = 0; x < 8; x++) {
          if (top + y >= side || left + x >= side) continue
          const at = (top + y) * side + left + x
          out[at] = (out[at] ?? 0) + kept * (waves[u]?.[y] ?? 0) * (waves[v]?.[x] ?? 0)
        }
    }
  }
}
