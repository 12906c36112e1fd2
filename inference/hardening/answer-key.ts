import { createHmac } from 'node:crypto'
import { type Bearer, type Marker, openMarker } from '../watermark/marker.ts'
import { type CellOf, openCells } from './cells.ts'
import { kept } from './kept.ts'
import { addNoise } from './noise.ts'
import { openPrf, purposeKey, type Words } from './prf.ts'

/** Model versions, by the shape of their inputs. */
const mostModels = 1_000
/** Bits of a cell that do not count for noise: with 16 that do, inputs that differ by little mostly get the same noise. */
const leftOut = 16

/** Whose answer it is, and of what model. */
export interface Addressee extends Bearer {
  readonly version: string
}

/** Inputs and the answers to them, of `items` rows each. */
export interface Answered {
  /** `[items, …shape]`; null where the inputs are no numbers. */
  readonly inputs: Float32Array | null
  readonly shape: readonly number[]
  /** `[items, classes]`. */
  readonly rows: Float32Array
  readonly classes: number
}

/** What a secret makes of answers: the same for the same input, however often it is asked. */
export interface AnswerKey {
  /**
   * Watermark, then noise, which keeps the class that is now the top one. Inputs that are no numbers get neither.
   *
   * @param share of the inputs that are marked; 0 for none
   * @param noise most that a row is changed by, L1; 0 for none
   * @returns rows of its own
   */
  disguise(addressee: Addressee, answered: Answered, share: number, noise: number): Float32Array
}

interface Noise {
  readonly cellOf: CellOf
  readonly words: (cell: number, top: number) => Words
}

/** @param secret 32 bytes, the same on every node */
export function openAnswerKey(secret: Uint8Array): AnswerKey {
  const marker = openMarker(secret)
  const key = purposeKey(secret, 'answer noise')
  const noises = new Map<string, Noise>()
  const noiseOf = ({ model, version }: Addressee, shape: readonly number[]): Noise => {
    const name = `${model}\0${version}\0${shape.join()}`
    return kept(noises, name, mostModels, () => {
      const own = createHmac('sha256', key).update(name).digest()
      return { cellOf: openCells(own, shape), words: openPrf(own) }
    })
  }
  return {
    disguise(addressee, { inputs, shape, rows, classes }, share, noise) {
      const told = rows.slice()
      if (inputs === null) return told
      const width = shape.reduce((product, size) => product * size, 1)
      const noisy = noise > 0 ? noiseOf(addressee, shape) : null
      for (let item = 0; item * classes < told.length; item++) {
        const input = inputs.subarray(item * width, (item + 1) * width)
        const row = told.subarray(item * classes, (item + 1) * classes)
        if (share > 0) markRow(marker, addressee, input, shape, row, share)
        if (noisy !== null) addNoise(row, noise, noisy.words(noisy.cellOf(input)[0] >>> leftOut, topOf(row)))
      }
      return told
    },
  }
}

/** The wrong class and the right one change places: the answer looks as sure as it was. */
function markRow(marker: Marker, bearer: Bearer, input: Float32Array, shape: readonly number[], row: Float32Array, share: number): void {
  const top = topOf(row)
  const mark = marker.mark(bearer, input, shape, top, row.length, share)
  if (mark === null) return
  const value = row[mark] as number
  row[mark] = row[top] as number
  row[top] = value
}

function topOf(row: Float32Array): number {
  let top = 0
  for (let i = 1; i < row.length; i++) if ((row[i] as number) > (row[top] as number)) top = i
  return top
}
