import { encode } from '../language/vocabulary.ts'
import { mulberry32 } from '../random.ts'
import { type Examples, scoreOf, slopesOf } from './language-gradients.ts'
import { type LanguageWeights, type Matrix, matricesOf } from './language-weights.ts'

export interface LanguageSettings {
  readonly steps: number
  readonly batch: number
  /** Adam's step at the start; falls to zero along a half cosine. */
  readonly rate: number
  /** Share of windows whose beginning is hidden, so that the model knows texts shorter than its window. */
  readonly hidden: number
  readonly seed: number
}

export interface LanguageProgress {
  readonly step: number
  /** Mean cross entropy since the last report, bits per character. */
  readonly bits: number
}

const reportEvery = 250

/** Trains in place on windows drawn anywhere in the text. The same settings on the same backend give the same weights. */
export function fitLanguage(
  weights: LanguageWeights,
  text: string,
  window: number,
  settings: LanguageSettings,
  onProgress: (progress: LanguageProgress) => void,
): void {
  const tokens = encode(text)
  const random = mulberry32(settings.seed)
  const adam = new Adam(matricesOf(weights))
  let sum = 0
  for (let step = 1; step <= settings.steps; step++) {
    const places = Int32Array.from({ length: settings.batch }, () => Math.floor(random() * tokens.length))
    const examples = examplesAt(tokens, places, window)
    hideStarts(examples.windows, window, settings.hidden, random)
    const { loss, gradients } = slopesOf(weights, examples)
    adam.step(matricesOf(gradients), settings.rate * 0.5 * (1 + Math.cos((Math.PI * (step - 1)) / settings.steps)))
    sum += loss
    if (step % reportEvery === 0) {
      onProgress({ step, bits: sum / reportEvery / Math.LN2 })
      sum = 0
    }
  }
}

export interface Evaluation {
  readonly characters: number
  readonly bitsPerCharacter: number
  /** Share of characters that were the most probable. */
  readonly top1: number
}

/** Over every character of the text. */
export function evaluate(weights: LanguageWeights, text: string, window: number): Evaluation {
  const tokens = encode(text)
  let [nats, right] = [0, 0]
  for (let from = 0; from < tokens.length; from += 1_024) {
    const places = Int32Array.from({ length: Math.min(1_024, tokens.length - from) }, (_, i) => from + i)
    const score = scoreOf(weights, examplesAt(tokens, places, window))
    nats += score.loss * places.length
    right += score.right
  }
  return { characters: tokens.length, bitsPerCharacter: nats / tokens.length / Math.LN2, top1: right / tokens.length }
}

/** For each place its token, and the window before it; what lies before the text is token 0. */
export function examplesAt(tokens: Int32Array, places: Int32Array, window: number): Examples {
  const windows = new Int32Array(places.length * window)
  const next = new Int32Array(places.length)
  for (const [i, place] of places.entries()) {
    const known = tokens.subarray(Math.max(0, place - window), place)
    windows.set(known, (i + 1) * window - known.length)
    next[i] = tokens[place] ?? 0
  }
  return { windows, next }
}

function hideStarts(windows: Int32Array, window: number, share: number, random: () => number): void {
  for (let from = 0; from < windows.length; from += window) {
    if (random() < share) windows.fill(0, from, from + Math.floor(random() * (window + 1)))
  }
}

/** Adam (Kingma and Ba, 2015) with its usual decays, in place on plain arrays. */
class Adam {
  readonly #weights: readonly Matrix[]
  readonly #means: readonly Float32Array[]
  readonly #squares: readonly Float32Array[]
  #steps = 0

  constructor(weights: readonly Matrix[]) {
    this.#weights = weights
    this.#means = weights.map(({ values }) => new Float32Array(values.length))
    this.#squares = weights.map(({ values }) => new Float32Array(values.length))
  }

  step(gradients: readonly Matrix[], rate: number): void {
    this.#steps++
    const meanScale = 1 / (1 - 0.9 ** this.#steps)
    const squareScale = 1 / (1 - 0.999 ** this.#steps)
    for (const [i, { values }] of this.#weights.entries()) {
      const [slopes, means, squares] = [gradients[i]?.values, this.#means[i], this.#squares[i]]
      if (!slopes || !means || !squares) throw new Error('There are fewer gradients than weights')
      for (let at = 0; at < values.length; at++) {
        const slope = slopes[at] as number
        const mean = (means[at] = 0.9 * (means[at] as number) + 0.1 * slope)
        const square = (squares[at] = 0.999 * (squares[at] as number) + 0.001 * slope * slope)
        values[at] = (values[at] as number) - (rate * mean * meanScale) / (Math.sqrt(square * squareScale) + 1e-8)
      }
    }
  }
}
