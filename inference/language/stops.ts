/** Finds stop sequences in text that comes character by character (Knuth, Morris and Pratt, 1977). */
export class Stops {
  readonly #matchers: readonly Matcher[]

  constructor(sequences: readonly string[]) {
    this.#matchers = sequences.filter((sequence) => sequence.length > 0).map((sequence) => new Matcher(sequence))
  }

  /**
   * @returns how many of the last characters may be, or are, a stop sequence and must be held back, and whether they are:
   * with `ab` as the sequence, `x` holds none, `xa` holds one, `xab` holds two and has ended
   */
  push(character: string): { readonly held: number; readonly ended: boolean } {
    let held = 0
    let ended = 0
    for (const matcher of this.#matchers) {
      const { matched, length } = matcher.push(character)
      held = Math.max(held, matched)
      if (matched === length) ended = Math.max(ended, length)
    }
    return ended > 0 ? { held: ended, ended: true } : { held, ended: false }
  }
}

class Matcher {
  readonly #sequence: string
  /** By number of matched characters, how many of them begin the sequence again. */
  readonly #borders: readonly number[]
  #matched = 0

  constructor(sequence: string) {
    this.#sequence = sequence
    const borders = [0, 0]
    for (let i = 1, border = 0; i < sequence.length; i++) {
      while (border > 0 && sequence[i] !== sequence[border]) border = borders[border] ?? 0
      if (sequence[i] === sequence[border]) border++
      borders.push(border)
    }
    this.#borders = borders
  }

  push(character: string): { matched: number; length: number } {
    const { length } = this.#sequence
    if (this.#matched === length) this.#matched = this.#borders[length] ?? 0
    while (this.#matched > 0 && this.#sequence[this.#matched] !== character) this.#matched = this.#borders[this.#matched] ?? 0
    if (this.#sequence[this.#matched] === character) this.#matched++
    return { matched: this.#matched, length }
  }
}
