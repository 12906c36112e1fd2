/** How far a search has come: a place in the automaton, and whether the last character was a blank. */
export interface Progress {
  node: number
  blank: boolean
}

const blanks = /[\s\p{Z}\p{Cf}]/u

/**
 * Finds phrases in a text that comes in pieces (Aho & Corasick 1975): time grows with the text alone, however many phrases there
 * are and however hostile the text is. Capitals do not count, nor does how much white space there is, nor characters that are not
 * seen. Its size is that of the phrases.
 */
export class PhraseSearch {
  /** By node: the character that leads to it, its first child, its next sibling, where to go on when no child fits. */
  readonly #code: Int32Array
  readonly #child: Int32Array
  readonly #sibling: Int32Array
  readonly #fallback: Int32Array
  /** Phrases that end at a node; undefined for most. */
  readonly #ends: (number[] | undefined)[] = []
  /** Where phrases begin, by character: most characters of a text begin none. */
  readonly #begins = new Int32Array(128)
  readonly #beginsBeyond = new Map<number, number>()
  #nodes = 1

  constructor(phrases: readonly string[]) {
    const plainPhrases = phrases.map(plain)
    const most = 1 + plainPhrases.reduce((sum, { length }) => sum + length, 0)
    this.#code = new Int32Array(most)
    this.#child = new Int32Array(most)
    this.#sibling = new Int32Array(most)
    this.#fallback = new Int32Array(most)
    plainPhrases.forEach((phrase, index) => {
      this.#insert(phrase, index)
    })
    this.#link()
  }

  start(): Progress {
    return { node: 0, blank: false }
  }

  /** Goes on with the next piece. @param found gets the index of each phrase that ends in it */
  push(progress: Progress, piece: string, found: (phrase: number) => void): void {
    const text = piece.toLowerCase()
    let { node, blank } = progress
    for (let i = 0; i < text.length; i++) {
      let code = text.charCodeAt(i)
      const isBlank = code <= 0x20 || (code > 0x7e && isBlankBeyond(code))
      if (isBlank) {
        if (blank) continue
        code = 0x20
      }
      blank = isBlank
      node = node === 0 ? this.#beginning(code) : this.#next(node, code)
      const ends = node === 0 ? undefined : this.#ends[node]
      if (ends !== undefined) for (const phrase of ends) found(phrase)
    }
    progress.node = node
    progress.blank = blank
  }

  #beginning(code: number): number {
    return (code < 128 ? this.#begins[code] : this.#beginsBeyond.get(code)) ?? 0
  }

  #next(from: number, code: number): number {
    for (let node = from; node !== 0; node = this.#fallback[node] as number) {
      const child = this.#childOf(node, code)
      if (child !== 0) return child
    }
    return this.#beginning(code)
  }

  #childOf(node: number, code: number): number {
    let child = this.#child[node] as number
    while (child !== 0 && this.#code[child] !== code) child = this.#sibling[child] as number
    return child
  }

  #insert(phrase: string, index: number): void {
    let node = 0
    for (let i = 0; i < phrase.length; i++) {
      const code = phrase.charCodeAt(i)
      node = (node === 0 ? this.#beginning(code) : this.#childOf(node, code)) || this.#add(node, code)
    }
    this.#end(node, [index])
  }

  #add(parent: number, code: number): number {
    const node = this.#nodes++
    this.#code[node] = code
    if (parent !== 0) {
      this.#sibling[node] = this.#child[parent] as number
      this.#child[parent] = node
    } else if (code < 128) this.#begins[code] = node
    else this.#beginsBeyond.set(code, node)
    return node
  }

  #end(node: number, phrases: readonly number[]): void {
    if (node !== 0) this.#ends[node] = [...(this.#ends[node] ?? []), ...phrases]
  }

  /** Breadth first, so that a node's fallback, which is nearer the root, is known before it. */
  #link(): void {
    const queue = [...this.#begins, ...this.#beginsBeyond.values()].filter((node) => node !== 0)
    for (const node of queue) {
      for (let child = this.#child[node] as number; child !== 0; child = this.#sibling[child] as number) {
        queue.push(child)
        const fallback = this.#next(this.#fallback[node] as number, this.#code[child] as number)
        this.#fallback[child] = fallback
        const ends = this.#ends[fallback]
        if (ends !== undefined) this.#end(child, ends)
      }
    }
  }
}

function isBlankBeyond(code: number): boolean {
  // Letters of most scripts, without asking the expression.
  if ((code >= 0xc0 && code < 0x600) || (code >= 0x3040 && code < 0xd7a4)) return false
  return blanks.test(String.fromCharCode(code))
}

/** As {@link PhraseSearch.push} reads a text; blanks at the ends stay, and mean that there must be one. */
function plain(phrase: string): string {
  return phrase.toLowerCase().replace(/[\s\p{Z}\p{Cf}\p{Cc}]+/gu, ' ')
}
