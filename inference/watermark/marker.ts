import { createHmac } from 'node:crypto'
import { type CellOf, openCells } from '../hardening/cells.ts'
import { kept } from '../hardening/kept.ts'
import { openPrf, purposeKey, type Words } from '../hardening/prf.ts'

/** Bits of a cell that do not count: with 48, one in ten digits changes its cell by noise of 0.01, and hardly two share one. */
const leftOut = 16
/** Principals whose keys are kept at hand. */
const mostPrincipals = 10_000
/** Models, by the shape of their inputs. */
const mostShapes = 1_000

/** Who is to be known by their copy, and what they copy. */
export interface Bearer {
  readonly principal: string
  readonly model: string
}

/**
 * Chooses inputs that are answered wrongly, as DAWN does (Szyller et al., "DAWN: Dynamic Adversarial Watermarking of Neural
 * Networks", arXiv 1906.00830): a copy learns these answers with the others, and a model that was made otherwise does not have them.
 *
 * Nothing is kept: which inputs, and which answer each gets, follows from the key, the principal, the model's name and the
 * input's cell, today and when somebody shows a suspect model.
 */
export interface Marker {
  /**
   * The class to answer with instead of `top`, or null where the input is not marked.
   *
   * @param input one item, of the shape given
   * @param share of the inputs, 0..0.01
   */
  mark(bearer: Bearer, input: Float32Array, shape: readonly number[], top: number, classes: number, share: number): number | null
  /** The class that it would be if the input were marked. */
  wrong(bearer: Bearer, input: Float32Array, shape: readonly number[], top: number, classes: number): number
}

/** @param secret 32 bytes, the same on every node */
export function openMarker(secret: Uint8Array): Marker {
  const key = purposeKey(secret, 'watermark')
  const cells = new Map<string, CellOf>()
  const functions = new Map<string, (a: number, b: number) => Words>()
  const cellOf = ({ model }: Bearer, shape: readonly number[]): CellOf => {
    const name = `${model}\0${shape.join()}`
    return kept(cells, name, mostShapes, () => openCells(subkey(key, `cells\0${model}`), shape))
  }
  const wordsOf = (bearer: Bearer, input: Float32Array, shape: readonly number[]): Words => {
    const { principal, model } = bearer
    const prf = kept(functions, `${model}\0${principal}`, mostPrincipals, () => openPrf(subkey(key, `mark\0${model}\0${principal}`)))
    const [first, second] = cellOf(bearer, shape)(input)
    return prf(first, second >>> leftOut)
  }
  const classOf = ([, word]: Words, top: number, classes: number) => (top + 1 + (word % (classes - 1))) % classes
  return {
    mark(bearer, input, shape, top, classes, share) {
      if (classes < 2) return null
      const words = wordsOf(bearer, input, shape)
      return words[0] < share * 2 ** 32 ? classOf(words, top, classes) : null
    },
    wrong: (bearer, input, shape, top, classes) => classOf(wordsOf(bearer, input, shape), top, classes),
  }
}

function subkey(key: Uint8Array, purpose: string): Uint8Array {
  return createHmac('sha256', key).update(purpose).digest()
}
