/** Of texts up to this many code units the copy is kept for the next one; longer ones get one of their own. */
const kept = 65_536

/**
 * Code units of texts, copied out of their strings: a string is asked for every unit anew how it is stored, which takes longer than all
 * that is done with the unit.
 */
export class Units {
  readonly #bytes = Buffer.alloc(2 * kept)
  readonly #units = new Uint16Array(this.#bytes.buffer, this.#bytes.byteOffset, kept)

  /** A view, valid until the next call; longer than the text where that is short. */
  of(text: string): Uint16Array {
    if (text.length > kept) return unitsOf(text)
    this.#bytes.write(text, 'utf16le')
    return this.#units
  }
}

export function unitsOf(text: string): Uint16Array {
  const bytes = Buffer.alloc(2 * text.length)
  bytes.write(text, 'utf16le')
  return new Uint16Array(bytes.buffer, bytes.byteOffset, text.length)
}
