import { type Hardening, stricterHardening } from '../../schemas/index.ts'
import type { Tensor } from '../port.ts'

/** How the answers of a principal, or of a model, are made less telling. What is left out is off. */
export interface Hardener {
  readonly level: Hardening
  /** Digits after the point, for `rounded` and `top-k`. */
  readonly decimals: number
  /** Probabilities that stay, for `top-k`. */
  readonly k?: number
  /** Most that noise changes a row of probabilities, L1. */
  readonly noise?: number
  /** Bytes whose multiple answers are filled up to. */
  readonly padTo?: number
  /** Milliseconds from its arrival before which no answer leaves. */
  readonly floorMs?: number
  /** Whether some labels are wrong, so that a copy is known by them. */
  readonly watermark?: boolean
}

/** Enough for every probability that is one. */
const mostK = 1_000
const mostDecimals = 6

/** What both ask for: of each part the stricter. Numbers that do not count at a level are not compared. */
export function stricter(a: Hardener, b: Hardener): Hardener {
  const level = stricterHardening(a.level, b.level)
  return {
    level,
    decimals: Math.min(decimalsOf(a), decimalsOf(b)),
    k: level === 'top-k' ? Math.min(keptOf(a), keptOf(b)) : mostK,
    noise: Math.max(a.noise ?? 0, b.noise ?? 0),
    padTo: Math.max(a.padTo ?? 0, b.padTo ?? 0),
    floorMs: Math.max(a.floorMs ?? 0, b.floorMs ?? 0),
    watermark: a.watermark === true || b.watermark === true,
  }
}

function decimalsOf({ level, decimals }: Hardener): number {
  return level === 'none' ? mostDecimals : decimals
}

/** How many of the largest values it leaves. */
export function keptOf({ level, k }: Hardener): number {
  return level === 'top-k' ? Math.max(1, k ?? 1) : mostK
}

/** Whether it changes what an answer says, and not only how long it is and when it leaves. */
export function rewrites({ level, noise = 0, watermark = false }: Hardener): boolean {
  return level !== 'none' || noise > 0 || watermark
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
  if (hardener.level === 'none') return tensor
  if (classes !== null && data instanceof Float32Array) return { ...tensor, data: Float32Array.from(harden(data, classes, hardener)) }
  if (hardener.level === 'label-only') return { ...tensor, data: silenced(data) }
  const scale = 10 ** hardener.decimals
  if (data instanceof Float32Array || data instanceof Float64Array) return { ...tensor, data: data.map((value) => rounded(value, scale)) }
  return tensor
}

/**
 * Hardened probabilities. Those that `top-k` leaves are not made to sum up to one again: a client that compares its confidence
 * with a threshold goes on comparing the same number, and a sum of one would tell nothing less.
 *
 * @param output `[items, classes]`, row-major
 */
export function harden(output: Float32Array, classes: number, hardener: Hardener): number[] {
  const { level, decimals } = hardener
  if (level === 'none') return Array.from(output)
  const scale = 10 ** decimals
  const most = keptOf(hardener)
  const hardened = new Array<number>(output.length)
  for (let row = 0; row < output.length; row += classes) {
    const top = topOf(output, row, classes)
    for (let i = row; i < row + classes; i++) {
      hardened[i] = level === 'label-only' ? Number(i === top) : rounded(output[i] ?? 0, scale)
    }
    if (level === 'label-only') continue
    if (most < classes) silenceOthers(hardened, output, row, classes, most, scale)
    keepTop(hardened, row, classes, top, scale)
  }
  return hardened
}

/** Text of a classification that an upstream made, `value:index:label`, the largest of each row first. */
export function hardenText(tensor: Tensor, perRow: number, hardener: Hardener): Tensor {
  const { data } = tensor
  const { level, decimals } = hardener
  if (level === 'none') return tensor
  const most = keptOf(hardener)
  if (ArrayBuffer.isView(data)) return { ...tensor, data: silenced(data) }
  const hardened = data.map((text, index) => {
    const [, value, rest] = /^([-+.\deE]+)(:.*)$/s.exec(Buffer.from(text).toString()) ?? []
    if (value === undefined || rest === undefined) return new Uint8Array(0)
    if (index % perRow >= most) return new Uint8Array(0)
    if (level !== 'label-only') return Buffer.from(`${rounded(Number(value), 10 ** decimals)}${rest}`)
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

/**
 * Zeros in the place of all but the largest; of equal ones the first stay. Where what stays is below zero, as logits are, the
 * others get less than that.
 */
function silenceOthers(hardened: number[], output: Float32Array, row: number, classes: number, most: number, scale: number): void {
  let least = Number.POSITIVE_INFINITY
  const others: number[] = []
  for (let i = row; i < row + classes; i++) {
    if (isAmongLargest(output, i, row, classes, most)) least = Math.min(least, hardened[i] ?? 0)
    else others.push(i)
  }
  for (const i of others) hardened[i] = least < 0 ? (Math.round(least * scale) - 1) / scale : 0
}

function isAmongLargest(output: Float32Array, i: number, row: number, classes: number, most: number): boolean {
  const own = output[i] ?? 0
  let larger = 0
  for (let j = row; j < row + classes; j++) {
    const other = output[j] ?? 0
    if ((other > own || (other === own && j < i)) && ++larger >= most) return false
  }
  return true
}

/** Rounding may tie the top class with another that stands before it: the top class gets one step more. */
function keepTop(hardened: number[], row: number, classes: number, top: number, scale: number): void {
  if (topOf(hardened, row, classes) !== top) hardened[top] = (Math.round((hardened[top] ?? 0) * scale) + 1) / scale
}
