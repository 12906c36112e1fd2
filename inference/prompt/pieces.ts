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
  /** Units of the text that are left out before the piece `#gapAt`. */
  #gap = 0
  #gapAt = 0

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
    this.#gap = 0
  }

  /** The piece that comes next is the first after so many units that are left out. */
  skip(units: number): void {
    if (this.#gap !== 0) return
    this.#gap = units
    this.#gapAt = this.count
  }

  /** Code units of the text from the start of one piece to the end of another. */
  lengthOf(first: number, last: number): number {
    const read = (this.until[last] as number) - (this.from[first] as number)
    return first < this.#gapAt && this.#gapAt <= last ? read + this.#gap : read
  }
}
