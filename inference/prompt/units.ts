import { hole, place, readAtMost } from './memory.ts'

/** Of a longer text as many from its start are read, and the others from its end. */
const readFirst = 16_384
/** Units that a unit is read after. */
const context = 2
const lineFeed = 10

/**
 * The code units of one text, where kernels read them. Of a long one its start, and its end with the two units before that; between them
 * stays a hole of more units than a chunk can tell (255), so that what spans it is as long as in the text for all who see it.
 */
export class Units {
  readonly #bytes: Buffer
  /** Units of the text that are not read: none where these are one. */
  skipFrom = 0
  skipUntil = 0
  /** How much nearer to the start than in the text the units after those lie. */
  shift = 0

  constructor({ buffer }: WebAssembly.Memory) {
    new Uint16Array(buffer, place.before, context).fill(lineFeed)
    this.#bytes = Buffer.from(buffer, place.units, 2 * (readAtMost + hole))
  }

  read(text: string): void {
    const { length } = text
    this.skipFrom = length > readAtMost ? readFirst : length
    this.skipUntil = length > readAtMost ? length - (readAtMost - readFirst) : length
    this.shift = Math.max(0, length - readAtMost - hole)
    if (this.shift === 0) this.#bytes.write(text, 'utf16le')
    else {
      this.#bytes.write(text.slice(0, readFirst), 'utf16le')
      this.#bytes.write(text.slice(this.skipUntil - context), 2 * (readFirst + hole - context), 'utf16le')
    }
  }
}
