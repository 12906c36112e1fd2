import { place, readAtMost } from './memory.ts'

/** Of a longer text as many from its start are read, and the others from its end. */
const readFirst = 16_384
/** Units that a unit is read after. */
const context = 2
const lineFeed = 10

/** The code units of one text, where kernels read them: of a long one its start, then its end with the two units before that. */
export class Units {
  readonly #bytes: Buffer
  /** Units of the text that are left out: none where these are one. */
  skipFrom = 0
  skipUntil = 0

  constructor({ buffer }: WebAssembly.Memory) {
    new Uint16Array(buffer, place.before, context).fill(lineFeed)
    this.#bytes = Buffer.from(buffer, place.units, 2 * (readAtMost + context))
  }

  read(text: string): void {
    const { length } = text
    this.skipFrom = length > readAtMost ? readFirst : length
    this.skipUntil = length > readAtMost ? length - (readAtMost - readFirst) : length
    if (length <= readAtMost) this.#bytes.write(text, 'utf16le')
    else {
      this.#bytes.write(text.slice(0, readFirst), 'utf16le')
      this.#bytes.write(text.slice(this.skipUntil - context), 2 * readFirst, 'utf16le')
    }
  }

  /** How much nearer to the start than in the text the units after those left out lie. */
  get shift(): number {
    return this.skipUntil === this.skipFrom ? 0 : this.skipUntil - this.skipFrom - context
  }
}
