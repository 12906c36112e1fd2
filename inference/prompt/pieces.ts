import { mostPieces, place } from './memory.ts'

/** Pieces of a text, in order, as columns where kernels read and write them. */
export class Pieces {
  readonly #count: Int32Array
  readonly hashes: Int32Array
  /** Code units, as they lie in `Units`. */
  readonly from: Int32Array
  readonly until: Int32Array
  /** How strong the cut at its end is: each level is four times rarer. */
  readonly levels: Uint8Array
  /** Of its first 64 units, under a character model. */
  readonly likelihoods: Float64Array
  /** Bits a unit. */
  readonly surprises = new Float64Array(mostPieces)

  constructor({ buffer }: WebAssembly.Memory) {
    this.#count = new Int32Array(buffer, place.pieces, 1)
    this.hashes = new Int32Array(buffer, place.hashes, mostPieces)
    this.from = new Int32Array(buffer, place.from, mostPieces)
    this.until = new Int32Array(buffer, place.until, mostPieces)
    this.levels = new Uint8Array(buffer, place.levels, mostPieces)
    this.likelihoods = new Float64Array(buffer, place.likelihoods, mostPieces)
  }

  get count(): number {
    return this.#count[0] as number
  }

  clear(): void {
    this.#count[0] = 0
  }
}
