import type { Tensor } from '../port.ts'

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
 * A hardened output. A function of the answer alone, so that asking again teaches nothing.
 *
 * Of probabilities the top class stays the top class. Other floats are rounded; under `label-only`, whatever is no
 * probabilities says nothing at all: zeros, or empty strings.
 *
 * @param classes how many values a row of probabilities has; null where these are none
 */
export function hardenTensor(tensor: Tensor, classes: number | null, hardener: Hardener): Tensor {
  const { data } = tensor
  if (classes !== null && data instanceof Float32Array) return { ...tensor, data: Float32Array.from(harden(data, classes, hardener)) }
  if (hardener.level === 'label-only') return { ...tensor, data: silenced(data) }
  const scale = 10 ** hardener.decimals
  if (data instanceof Float32Array || data instanceof Float64Array) return { ...tensor, data: data.map((value) => rounded(value, scale)) }
  return tensor
}

/**
 * Hardened probabilities.
 *
 * @param output `[items, classes]`, row-major
 */
export function harden(output: Float32Array, classes: number, { level, decimals }: Hardener): number[] {
  const scale = 10 ** decimals
  const hardened = new Array<number>(output.length)
  for (let row = 0; row < output.length; row += classes) {
    const top = topOf(output, row, classes)
    for (let i = row; i < row + classes; i++) {
      hardened[i] = level === 'label-only' ? Number(i === top) : rounded(output[i] ?? 0, scale)
    }
    if (level === 'rounded') keepTop(hardened, row, classes, top, scale)
  }
  return hardened
}

/** Text of a classification that an upstream made, `value:index:label`, the largest of each row first. */
export function hardenText(tensor: Tensor, perRow: number, { level, decimals }: Hardener): Tensor {
  const { data } = tensor
  if (ArrayBuffer.isView(data)) return { ...tensor, data: silenced(data) }
  const hardened = data.map((text, index) => {
    const [, value, rest] = /^([-+.\deE]+)(:.*)$/s.exec(Buffer.from(text).toString()) ?? []
    if (value === undefined || rest === undefined) return new Uint8Array(0)
    if (level === 'rounded') return Buffer.from(`${rounded(Number(value), 10 ** decimals)}${rest}`)
    return index % perRow === 0 ? Buffer.from(`1.000000${rest}`) : new Uint8Array(0)
  })
  return { ...tensor, data: hardened }
}

function silenced(data: Tensor['data']): Tensor['data'] {
  if (!ArrayBuffer.isView(data)) return data.map(() => new Uint8Array(0))
  const silent = data.slice()
  if (silent instanceof BigInt64Array || silent instanceof BigUint64Array) return silent.fill(0n)
  return silent.fill(0)
}

/** What is too large for that many digits has none after the point. */
function rounded(value: number, scale: number): number {
  const scaled = value * scale
  return Number.isFinite(scaled) ? Math.round(scaled) / scale : value
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
