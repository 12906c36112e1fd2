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
  /** By node: the character that leads to it, its first child, its next sibling, where to go on when no child fits, what ends here. */
  readonly #code: number[] = [0]
  readonly #child: number[] = [0]
  readonly #sibling: number[] = [0]
  readonly #fallback: number[] = [0]
  readonly #ends: number[][] = [[]]
  readonly #fromRoot = new Map<number, number>()

  constructor(phrases: readonly string[]) {
    phrases.forEach((phrase, index) => {
      this.#insert(plain(phrase), index)
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
      node = this.#next(node, code)
      if (node !== 0) for (const phrase of this.#ends[node] ?? []) found(phrase)
    }
    progress.node = node
    progress.blank = blank
  }

  #next(from: number, code: number): number {
    let node = from
    while (node !== 0) {
      const child = this.#childOf(node, code)
      if (child !== 0) return child
      node = this.#fallback[node] ?? 0
    }
    return this.#fromRoot.get(code) ?? 0
  }

  #childOf(node: number, code: number): number {
    if (node === 0) return this.#fromRoot.get(code) ?? 0
    let child = this.#child[node] ?? 0
    while (child !== 0 && this.#code[child] !== code) child = this.#sibling[child] ?? 0
    return child
  }

  #insert(phrase: string, index: number): void {
    let node = 0
    for (let i = 0; i < phrase.length; i++) {
      const code = phrase.charCodeAt(i)
      node = this.#childOf(node, code) || this.#add(node, code)
    }
    if (node !== 0) this.#ends[node]?.push(index)
  }

  #add(parent: number, code: number): number {
    const node = this.#code.length
    this.#code.push(code)
    this.#child.push(0)
    this.#sibling.push(parent === 0 ? 0 : (this.#child[parent] ?? 0))
    this.#fallback.push(0)
    this.#ends.push([])
    if (parent === 0) this.#fromRoot.set(code, node)
    else this.#child[parent] = node
    return node
  }

  /** Breadth first, so that a node's fallback, which is nearer the root, is known before it. */
  #link(): void {
    const queue = [...this.#fromRoot.values()]
    for (const node of queue) {
      for (let child = this.#child[node] ?? 0; child !== 0; child = this.#sibling[child] ?? 0) {
        queue.push(child)
        const fallback = this.#next(this.#fallback[node] ?? 0, this.#code[child] ?? 0)
        this.#fallback[child] = fallback
        this.#ends[child]?.push(...(this.#ends[fallback] ?? []))
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
